/* SPDX-License-Identifier: MIT */
/* Eventfds: how a thread that waits for descriptors is woken by another thread. errno is kept. */
#ifndef WEFT_SRC_BASE_EVENTFD_H
#define WEFT_SRC_BASE_EVENTFD_H

/* Returns a close-on-exec descriptor, or a negative errno value. */
int weft__eventfd_open(void);

void weft__eventfd_close(int fd);

/* Makes it readable. */
void weft__eventfd_ring(int fd);

#endif
