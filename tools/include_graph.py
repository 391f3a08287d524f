#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The graph of the sources of src/ and sched/: which one includes and calls which. Checks it for circles, and draws it.

    tools/include_graph.py --check                             fails on a circle that must not be
    tools/include_graph.py --svg docs/pictures/files.svg       draws it, with Graphviz's dot
    tools/include_graph.py --level folder --dot FILE           writes dot's input instead, with folders as nodes

A unit is a source with its header: src/stack/stack.c and src/stack/stack.h are one. Unit A stands on unit B in two cases:

  include  A file of A includes the header of B.
  call     A function of A names a function that B defines, wherever that is declared.

An inline function of a public header counts as part of each unit that calls it. Otherwise public headers are left out, because
they are the interface of the sources that define their functions.

--check fails if folders stand on each other in a circle, or files of src/ do, and prints one such circle with a reason for each
step. It lists the circles within a folder of sched/, which are allowed. Calls through pointers do not count: a function that
is registered is how a lower layer calls a higher one.

In the picture a folder is a box. A thick arrow between boxes stands for all arrows between their files. Arrows within a box
are left out where others lead there too, and all arrows of a circle are red.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys

TOPS = ('src', 'sched')
# Files of these folders must not form a circle.
STRICT = 'src/'

COMMENT_OR_STRING = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
ATTRIBUTE = re.compile(r'__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)')
ASSEMBLY_SYMBOL = re.compile(r'^[ \t]*(?:\.globl[ \t]+|FUNCTION[ \t]*\()(\w+)', re.MULTILINE)
# A name, and whether it is called. A member of a struct is not a function.
NAME = re.compile(r'(?<![\w.>])([A-Za-z_]\w*)\b([ \t]*\()?')


def read(root, path):
    with open(os.path.join(root, path), encoding='utf-8') as file:
        return file.read()


def sources(root, tops):
    for top in tops:
        for folder, folders, names in os.walk(os.path.join(root, top)):
            folders.sort()
            for name in sorted(names):
                if name.endswith(('.c', '.h', '.S')):
                    yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, '/')


def functions_of(text):
    """
    Yields (name, static, body) of each function. In the house style a function's braces stand in the first column, and no other
    opening brace does.
    """
    code = COMMENT_OR_STRING.sub(lambda match: ' ' + '\n' * match.group(0).count('\n'), text)
    head, name, static, body = [], None, False, []
    for line in DIRECTIVE.sub('', code).split('\n'):
        if name:
            body.append(line)
            if line.startswith('}'):
                yield name, static, '\n'.join(body)
                name, body = None, []
        elif line.startswith('{'):
            signature = ATTRIBUTE.sub(' ', ' '.join(head))
            found = re.search(r'\b(\w+)\s*\(', signature)
            name, static, head, body = (found.group(1) if found else '?'), 'static' in signature.split(), [], [line]
            if line.rstrip().endswith('}'):
                yield name, static, line
                name, body = None, []
        else:
            head.append(line)
            if re.search(r'[;}]\s*$', line) or not line.strip():
                head = []


def unit_of(path):
    return path.rsplit('.', 1)[0]


class Sources:
    """.edges: unit -> {unit: reason}. The first reason that is found is kept."""

    def __init__(self, root):
        self.root = root
        self.files = list(sources(root, TOPS))
        self.units = sorted({unit_of(path) for path in self.files})
        self.edges = {unit: {} for unit in self.units}
        self.own = collections.defaultdict(set)  # path -> functions that only this file has
        self.bodies = {}                         # path -> [(function, body)]
        self.defined = collections.defaultdict(set)  # function -> units
        self.inline = {}                         # function of a public header -> body
        for path in self.files:
            self.look_for_functions(path)
        for path in sources(root, ('include',)):
            for name, static, body in functions_of(read(root, path)):
                self.inline[name] = body
        for path in self.files:
            self.add_includes(path)
        for path in self.files:
            self.add_calls(path)

    def look_for_functions(self, path):
        text = read(self.root, path)
        if path.endswith('.S'):
            for name in ASSEMBLY_SYMBOL.findall(text):
                self.defined[name].add(unit_of(path))
            return
        self.bodies[path] = []
        for name, static, body in functions_of(text):
            self.bodies[path].append((name, body))
            if static and path.endswith('.c'):
                self.own[path].add(name)
            else:
                self.defined[name].add(unit_of(path))

    def add(self, unit, target, reason):
        if target != unit:
            self.edges[unit].setdefault(target, reason)

    def add_includes(self, path):
        for name in INCLUDE.findall(read(self.root, path)):
            for candidate in (os.path.join(os.path.dirname(path), name), name):
                candidate = os.path.normpath(candidate).replace(os.sep, '/')
                if candidate in self.files:
                    self.add(unit_of(path), unit_of(candidate), '%s includes %s' % (path, candidate))
                    break

    def names(self, body, own, seen):
        """The shared functions that a body names."""
        for name, call in NAME.findall(body):
            # Only calls of short names count, since variables have such names too.
            if name in own or not (call or name.startswith('weft')):
                continue
            if name in self.defined:
                yield name
            elif name in self.inline and name not in seen:
                seen.add(name)
                yield from self.names(self.inline[name], own, seen)

    def add_calls(self, path):
        for function, body in self.bodies.get(path, ()):
            for name in self.names(body, self.own[path], set()):
                # Several backends may define it, the unit's own among them.
                for target in () if unit_of(path) in self.defined[name] else sorted(self.defined[name]):
                    self.add(unit_of(path), target, '%s: %s() calls %s() of %s' % (path, function, name, target))

    def folders(self):
        """The same graph for folders."""
        edges = {os.path.dirname(unit): {} for unit in self.units}
        for unit, targets in self.edges.items():
            for target, reason in targets.items():
                folder, other = os.path.dirname(unit), os.path.dirname(target)
                if folder != other:
                    edges[folder].setdefault(other, reason)
        return edges


def components(edges):
    """The strongly connected components (Tarjan), those that others stand on first."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in edges[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(sorted(stack[at:]))
            del stack[at:]

    sys.setrecursionlimit(10000)
    for node in edges:
        if node not in index:
            visit(node)
    return found


def circles(edges):
    return [component for component in components(edges) if len(component) > 1]


def shortest_circle(edges, component):
    """The nodes of a shortest circle within a component."""
    best = None
    for start in component:
        before, queue = {start: None}, collections.deque([start])
        while queue:
            node = queue.popleft()
            if start in edges[node] and node != start:
                way = [node]
                while before[way[-1]] is not None:
                    way.append(before[way[-1]])
                if best is None or len(way) < len(best):
                    best = way[::-1]
                break
            for target in edges[node]:
                if target in component and target not in before:
                    before[target] = node
                    queue.append(target)
    return best


def print_circle(edges, circle):
    for node, target in zip(circle, circle[1:] + circle[:1]):
        print('    ' + edges[node][target])


def check(graph):
    bad = 0
    folders = graph.folders()
    for component in circles(folders):
        bad += 1
        print('a circle of folders: ' + ', '.join(component))
        print_circle(folders, shortest_circle(folders, component))
    allowed = []
    for component in circles(graph.edges):
        if len({os.path.dirname(unit) for unit in component}) == 1 and not component[0].startswith(STRICT):
            allowed.append(component)
            continue
        bad += 1
        print('a circle of files: ' + ', '.join(component))
        print_circle(graph.edges, shortest_circle(graph.edges, component))
    for component in allowed:
        print('allowed, a circle of %d files in %s: %s' % (
            len(component), os.path.dirname(component[0]), ', '.join(os.path.basename(unit) for unit in component)))
    print('%d files, %d units, %d folders, %d circles that must not be' % (
        len(graph.files), len(graph.units), len(folders), bad))
    return 1 if bad or not graph.files else 0


def reduced(edges, nodes, circle_of):
    """The edges among the nodes, without those that a longer way replaces. A circle counts as one node."""
    among = {node: [target for target in edges[node] if target in nodes] for node in nodes}
    way = {}

    def reach(node):
        if node not in way:
            way[node] = set()
            for target in among[node]:
                if circle_of.get(target, target) != circle_of.get(node, node):
                    way[node] |= {target} | reach(target)
        return way[node]

    for node in nodes:
        for target in among[node]:
            if circle_of.get(node, node) == circle_of.get(target, target):
                yield node, target, True
            elif not any(target in reach(other) for other in among[node]
                         if circle_of.get(other, other) not in (circle_of.get(node, node), circle_of.get(target, target))):
                yield node, target, False


STYLE = '''\tgraph [fontname="Helvetica", fontsize=14, rankdir=TB, newrank=true, compound=true, bgcolor="white", nodesep=0.15, ranksep=0.4];
\tnode [fontname="Helvetica", fontsize=11, shape=box, style="rounded,filled", fillcolor="white", color="#555555", height=0.3, margin="0.08,0.03"];
\tedge [color="#777777", arrowsize=0.6];
'''
BOXES = ('#fbecec', '#f6eef8', '#e9f1fa', '#eff7ea', '#fbf4e2')
IN_CIRCLE = 'color="#c00000", fillcolor="#ffe0e0"'


def quoted(name):
    return '"%s"' % name


def together(edges):
    """The graph with one node for each circle, and the members of each node."""
    members = {min(component): component for component in components(edges)}
    name_of = {node: name for name, component in members.items() for node in component}
    united = {name: {} for name in members}
    for node, targets in edges.items():
        for target in targets:
            if name_of[node] != name_of[target]:
                united[name_of[node]][name_of[target]] = True
    return united, members


def rows(names, width=5):
    return '\\n'.join(', '.join(names[i:i + width]) + (',' if i + width < len(names) else '') for i in range(0, len(names), width))


def draw(graph, level, all_arrows):
    edges = graph.folders() if level == 'folder' else graph.edges
    members = {node: [node] for node in edges}
    if not all_arrows:
        edges, members = together(edges)
    in_circle = {node for component in circles(edges) for node in component} | {
        node for node, component in members.items() if len(component) > 1}
    ids = {name: 'n%d' % i for i, name in enumerate(sorted(edges))}
    lines = ['// Which source stands on which. Written by tools/include_graph.py, which explains it.', 'digraph files {', STYLE.rstrip('\n')]

    def node(name, labels):
        if len(labels) > 1:
            label = 'a circle of %d files:\\n%s' % (len(labels), rows(labels))
        else:
            label = labels[0]
        lines.append('\t\t%s [label=%s%s];' % (ids[name], quoted(label), ', ' + IN_CIRCLE if name in in_circle else ''))
        if len(labels) > 1:
            lines.append('\t\t%s -> %s [color="#c00000"];' % (ids[name], ids[name]))

    def edge(name, target, style):
        lines.append('\t%s -> %s [%s];' % (ids[name], ids[target], style))

    def arrows(edges, nodes):
        circle_of = {node: component[0] for component in circles(edges) for node in component}
        return reduced(edges, nodes, circle_of)

    if level == 'folder':
        for name in edges:
            node(name, members[name])
        for name, target, circle in arrows(edges, edges):
            edge(name, target, 'color="#c00000"' if circle else 'penwidth=1.5')
        return '\n'.join(lines + ['}', ''])

    boxes = collections.defaultdict(list)
    for name in edges:
        boxes[os.path.dirname(name)].append(name)
    number = {folder: i for i, folder in enumerate(sorted(boxes))}
    top, bottom = {}, {}
    for folder, names in sorted(boxes.items()):
        lines.append('\tsubgraph cluster_%d {\n\t\tlabel=%s; labeljust=l; style=filled; color="#bbbbbb"; fillcolor="%s";' % (
            number[folder], quoted(folder + '/'), BOXES[number[folder] % len(BOXES)]))
        for name in sorted(names):
            node(name, [os.path.basename(unit) for unit in members[name]])
        lines.append('\t}')
        inner = list(arrows(edges, names))
        for name, target, circle in inner:
            edge(name, target, 'color="#c00000"' if circle else '')
        # Arrows between boxes leave one at its lowest file and reach the other at its highest, so that dot stacks the boxes.
        depth = {}
        for name in [unit for component in components({n: [t for t in edges[n] if t in names] for n in names}) for unit in component]:
            depth[name] = 1 + max((depth.get(target, 0) for target in edges[name] if target in names), default=0)
        highest = max(depth, key=depth.get)
        top[folder], lowest = highest, highest
        while any(target in depth and depth[target] < depth[lowest] for target in edges[lowest]):
            lowest = max((target for target in edges[lowest] if target in depth and depth[target] < depth[lowest]), key=depth.get)
        bottom[folder] = lowest
    for folder, other, circle in arrows(graph.folders(), graph.folders()):
        edge(bottom[folder], top[other], 'ltail=cluster_%d, lhead=cluster_%d, penwidth=2.5, arrowsize=1, color="%s"' % (
            number[folder], number[other], '#c00000' if circle else '#444444'))
        for name in boxes[other]:
            if name != top[other] and not any(name in edges[unit] for unit in boxes[other]):
                edge(bottom[folder], name, 'style=invis')
    return '\n'.join(lines + ['}', ''])


def main():
    parser = argparse.ArgumentParser(description='Checks and draws which source includes and calls which.')
    parser.add_argument('root', nargs='?', default=os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
    parser.add_argument('--check', action='store_true', help='exit with 1 on a circle that must not be')
    parser.add_argument('--level', choices=('file', 'folder'), default='file', help='what a node of the picture is')
    parser.add_argument('--all', action='store_true', help='show each arrow within a circle, rather than the circle as one node')
    parser.add_argument('--dot', metavar='FILE', help="write dot's input")
    parser.add_argument('--svg', metavar='FILE', help='draw; exit with 77 if dot is not installed')
    args = parser.parse_args()
    graph = Sources(args.root)
    if args.dot:
        with open(args.dot, 'w', encoding='utf-8') as file:
            file.write(draw(graph, args.level, args.all))
    if args.svg:
        if not shutil.which('dot'):
            print('skipped: Graphviz, whose dot draws the picture, is not installed')
            return 77
        subprocess.run(['dot', '-Tsvg', '-o', args.svg], input=draw(graph, args.level, args.all), text=True, check=True)
    if args.check or not (args.dot or args.svg):
        return check(graph)
    return 0


sys.exit(main())
