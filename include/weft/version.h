/* SPDX-License-Identifier: MIT */
/*
 * Versions. A program is compiled with the headers of one version and may run with the library of a
 * later one (weft(7)).
 */
#ifndef WEFT_VERSION_H
#define WEFT_VERSION_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* The headers' version. This is its only place: meson.build reads these three lines. */
#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

/* One number for a version, below that of each later one: WEFT_VERSION_NUMBER(0, 12, 3) is 12003.
 * Minor and patch are below 1000. */
#define WEFT_VERSION_NUMBER(major, minor, patch) ((major)*1000000 + (minor)*1000 + (patch))

/* The headers' version as such a number, for #if. */
#define WEFT_VERSION WEFT_VERSION_NUMBER(WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR, WEFT_VERSION_PATCH)

/* Returns the library's version, as WEFT_VERSION is the headers'. From any thread or task. */
WEFT_API int weft_version(void);

/* Returns the library's version as text: "0.1.0". From any thread or task. */
WEFT_API const char *weft_version_string(void);

WEFT_END_DECLS

#endif
