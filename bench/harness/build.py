# SPDX-License-Identifier: MIT
"""Installs what the benchmarks need, builds Weft and all programs into build/bench, knows everybody's version."""
import os
import shlex
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(HERE)
OUT = os.path.join(ROOT, 'build', 'bench')
CC, CXX = os.environ.get('CC', 'gcc'), os.environ.get('CXX', 'g++')
# Aligned: where the linker happens to put a kernel makes up to 7 % (quicksort), for whoever it is linked with.
CFLAGS = '-std=gnu11 -O2 -falign-functions=64 -D_GNU_SOURCE -Wall -Wextra'.split()
CXXFLAGS = '-std=c++17 -O2 -falign-functions=64 -D_GNU_SOURCE -Wall -Wextra'.split()
GO_NEW = '/usr/lib/go-1.23/bin/go'


class Unavailable(Exception):
    """Why something cannot be installed or built: one line."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(command, **rest):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          stdin=subprocess.DEVNULL, **rest)
    return done.returncode, done.stdout


def build(name, command, **rest):
    """Runs a command whose output goes to a log."""
    try:
        status, text = output(command, timeout=900, **rest)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from error
    log = os.path.join(OUT, name + '.log')
    with open(log, 'w', encoding='utf-8') as file:
        file.write(shlex.join(command) + '\n' + text)
    if status != 0:
        lines = [line for line in text.splitlines() if 'error' in line.lower()] or text.splitlines()[-1:]
        raise Unavailable((lines[0].strip() if lines else 'no message')[:160] + f' (see {log})')


# --- packages ---

def missing(packages):
    absent = []
    for package in packages:
        status, text = output(['dpkg-query', '-W', '-f', '${db:Status-Status}', package])
        if status != 0 or text != 'installed':
            absent.append(package)
    return absent


def install(packages, apt_options=()):
    """Installs what is missing of these. An apt that knows more sources than the machine's is one for this run only."""
    if not shutil.which('dpkg-query'):
        return  # not Debian: what is there is used
    absent = missing(packages)
    if not absent:
        return
    if os.geteuid() != 0 and not shutil.which('sudo'):
        raise Unavailable('not installed, and only root can install: ' + ' '.join(absent))
    say('Installing with apt: ' + ' '.join(absent))
    apt = (['sudo'] if os.geteuid() != 0 else []) + ['apt-get', '-o', 'DPkg::Lock::Timeout=300', *apt_options]
    if apt_options or not install.updated:
        output(apt + ['update'])
        install.updated = install.updated or not apt_options
    status, text = output(apt + ['install', '-y', '--no-install-recommends'] + absent,
                          env=dict(os.environ, DEBIAN_FRONTEND='noninteractive'))
    if status != 0:
        raise Unavailable('apt cannot install ' + ' '.join(absent) + ': ' + (text.strip().splitlines() or ['?'])[-1])


install.updated = False


def backports_options():
    """apt options for bookworm with its backports, with package lists of their own: the machine's are not changed."""
    folder = os.path.join(OUT, 'apt')
    os.makedirs(os.path.join(folder, 'lists', 'partial'), exist_ok=True)
    sources = os.path.join(folder, 'sources.list')
    key = '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
    with open(sources, 'w', encoding='utf-8') as file:
        for suite in ('bookworm', 'bookworm-backports'):
            file.write(f'deb {key} http://deb.debian.org/debian {suite} main\n')
    return ['-o', 'Dir::Etc::SourceList=' + sources, '-o', 'Dir::Etc::SourceParts=/dev/null',
            '-o', 'Dir::State::Lists=' + os.path.join(folder, 'lists'),
            '-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache=']


# --- programs: each builder returns the path of what it built ---

def target(name):
    return os.path.join(OUT, 'bin', name)


def library(backend):
    """Weft, as meson builds it for release; programs are linked with the static library, as most would be."""
    folder = os.path.join(OUT, 'weft-' + backend)
    if folder not in library.built:
        if not os.path.exists(os.path.join(folder, 'build.ninja')):
            build('weft-' + backend + '-setup', [
                'meson', 'setup', folder, ROOT, '-Dtests=false', '-Dstress=false', '-Dexamples=false',
                '-Dcontext=' + backend], env=dict(os.environ, CC=CC, CFLAGS='', LDFLAGS=''))
        build('weft-' + backend, ['ninja', '-C', folder, 'libweft.a'])
        library.built.add(folder)
    return os.path.join(folder, 'libweft.a')


library.built = set()


def urcu_flags():
    status, text = output(['pkg-config', '--cflags', '--libs', 'liburcu-memb'])
    if status != 0:
        raise Unavailable('pkg-config does not know liburcu-memb')
    return text.split()


def weft_program(source, backend='auto'):
    def make():
        name = 'weft-' + source + ('-ucontext' if backend == 'ucontext' else '')
        archive = library(backend)
        ucontext = backend == 'ucontext' or os.uname().machine not in ('x86_64', 'aarch64')
        build(name, [CC, *CFLAGS, '-I' + os.path.join(ROOT, 'include'), '-I' + ROOT,
                     '-DWEFT_CONTEXT_' + ('UCONTEXT' if ucontext else 'ASM'),
                     os.path.join(HERE, 'weft', source.replace('-', '_') + '.c'), archive, *urcu_flags(), '-pthread',
                     '-o', target(name)])
        return target(name)
    return make


def peer_program(name, packages, flags):
    def make():
        install(packages)
        base = os.path.join(HERE, 'peers', name.replace('-', '_'))
        source = base + '.c' if os.path.exists(base + '.c') else base + '.cpp'
        compiler = [CC, *CFLAGS] if source.endswith('.c') else [CXX, *CXXFLAGS]
        build(name, compiler + [source, '-o', target(name), '-pthread'] + flags)
        return target(name)
    return make


def go_command():
    if not os.path.exists(GO_NEW):
        try:
            install(['golang-1.23-go'], backports_options())
        except Unavailable as reason:
            say(f'Go 1.23: {reason}; taking the older one')
    if os.path.exists(GO_NEW):
        return GO_NEW
    install(['golang-go'])
    return shutil.which('go') or GO_NEW


def go_program():
    go = go_command()
    build('go', [go, 'build', '-o', target('go'), '.'], cwd=os.path.join(HERE, 'peers', 'go'),
          env=dict(os.environ, GOTOOLCHAIN='local', GOPROXY='off', GOFLAGS='-mod=mod', GOCACHE=os.path.join(OUT, 'go')))
    return target('go')


def tokio_program():
    """With Debian's compiler and Debian's crates, without the network."""
    install(['librust-tokio-dev', 'cargo', 'rustc'])
    folder = os.path.join(OUT, 'tokio')
    os.makedirs(os.path.join(folder, 'home'), exist_ok=True)
    source = os.path.join(folder, 'source')  # cargo writes a lock file beside Cargo.toml
    shutil.copytree(os.path.join(HERE, 'peers', 'tokio'), source, dirs_exist_ok=True)
    config = os.path.join(folder, 'config.toml')
    with open(config, 'w', encoding='utf-8') as file:
        file.write('[source.crates-io]\nreplace-with = "debian"\n'
                   '[source.debian]\ndirectory = "/usr/share/cargo/registry"\n')
    build('tokio', ['/usr/bin/cargo', 'build', '--release', '--offline', '--config', config,
                    '--target-dir', os.path.join(folder, 'target')], cwd=source,
          env=dict(os.environ, PATH='/usr/bin:/bin', CARGO_HOME=os.path.join(folder, 'home')))
    shutil.copy(os.path.join(folder, 'target', 'release', 'tokio-bench'), target('tokio'))
    return target('tokio')


PROGRAMS = {
    'floor': peer_program('floor', [], []),
    'threads': peer_program('threads', [], []),
    'ucontext-pool': peer_program('ucontext-pool', [], []),
    'openmp': peer_program('openmp', [], ['-fopenmp']),
    'onetbb': peer_program('onetbb', ['g++', 'libtbb-dev'], ['-ltbb']),
    'boost-context': peer_program('boost-context', ['g++', 'libboost-context1.81-dev'], ['-lboost_context']),
    'boost-fiber': peer_program('boost-fiber', ['g++', 'libboost-fiber1.81-dev'], ['-lboost_fiber', '-lboost_context']),
    'go': go_program,
    'tokio': tokio_program,
    'weft-switch-ucontext': weft_program('switch', 'ucontext'),
    'weft-life-ucontext': weft_program('life', 'ucontext'),
}
for _source in sorted(os.listdir(os.path.join(HERE, 'weft'))):
    if _source.endswith('.c'):
        _name = _source[:-2].replace('_', '-')
        PROGRAMS['weft-' + _name] = weft_program(_name)


def build_programs(names):
    """Builds these. Returns what can be run and, for the others, why not."""
    os.makedirs(os.path.join(OUT, 'bin'), exist_ok=True)
    paths, reasons = {}, {}
    for name in names:
        say('building ' + name)
        try:
            paths[name] = PROGRAMS[name]()
        except Unavailable as reason:
            reasons[name] = str(reason)
            say(f'  skipped: {reason}')
    return paths, reasons


# --- versions ---

def first_line(command):
    try:
        return output(command)[1].strip().splitlines()[0]
    except (OSError, IndexError):
        return None


def package_version(package):
    status, text = output(['dpkg-query', '-W', '-f', '${Version}', package])
    return text if status == 0 else None


def versions(paths):
    known = {'Weft': first_line(['git', '-C', ROOT, 'rev-parse', '--short', 'HEAD']),
             'C': first_line([CC, '--version']), 'C++': first_line([CXX, '--version']),
             'libc': first_line(['ldd', '--version']), 'liburcu': package_version('liburcu-dev')}
    if known['Weft'] and known['Weft'].startswith('fatal'):
        known['Weft'] = None
    if 'go' in paths:
        known['Go'] = first_line([GO_NEW if os.path.exists(GO_NEW) else 'go', 'version'])
    for program, package in (('onetbb', 'libtbb-dev'), ('boost-fiber', 'libboost-fiber1.81-dev'),
                             ('tokio', 'librust-tokio-dev'), ('tokio', 'rustc')):
        if program in paths:
            known[package] = package_version(package)
    return {name: version for name, version in known.items() if version}
