# SPDX-License-Identifier: MIT
"""What was measured: quartiles, the table, the raw figures as JSON, the picture."""
import json
import math
import os
import statistics
import subprocess

from .rows import LABELS


class Figures:
    """All samples, by (row, metric, label, workers)."""

    def __init__(self):
        self.samples = {}

    def add(self, row, metric, label, workers, value):
        self.samples.setdefault((row, metric, label, workers), []).append(value)

    def get(self, row, metric, label, workers):
        return self.samples.get((row, metric, label, workers), [])

    def median(self, row, metric, label, workers):
        samples = self.get(row, metric, label, workers)
        return statistics.median(samples) if samples else None


def quartiles(samples):
    if len(samples) < 2:
        return samples[0], samples[0]
    low, _, high = statistics.quantiles(samples, n=4, method='inclusive')
    return low, high


def number(value):
    if value == 0:
        return '0'
    if abs(value) >= 1000:
        return f'{value:.0f}'
    return f'{value:.3g}' if abs(value) >= 1 else f'{value:.2g}'


def plural(workers):
    return f'{workers} worker' + ('s' if workers != 1 else '')


def lines_of(row, metric, figures):
    """The lines of one metric: (label, workers) in the order of the row."""
    for workers in row.workers:
        for label in row.commands:
            if figures.get(row.name, metric.name, label, workers):
                yield label, workers


def verdicts(row, metric, figures):
    def median(label, workers):
        return figures.median(row.name, metric.name, label, workers)

    for workers in row.workers:
        for target in metric.targets:
            verdict = target.judge(median, workers) if target.applies(workers) else None
            if verdict:
                yield workers, *verdict


def table(rows, figures):
    """The table, and the lines of the targets that are missed."""
    out, missed, count = [], [], 0
    for row in rows:
        for metric in row.metrics:
            lines = list(lines_of(row, metric, figures))
            if not lines:
                continue
            where = f', on {row.cpus} CPUs' if row.cpus == 2 else ''
            out.append(f'{row.name}: {metric.title}, {metric.unit}{where}')
            own = next(iter(row.commands))
            for workers in row.workers:
                for label in (name for name, w in lines if w == workers):
                    samples = figures.get(row.name, metric.name, label, workers)
                    low, high = quartiles(samples)
                    median = statistics.median(samples)
                    ours = figures.median(row.name, metric.name, own, workers)
                    ratio = f'{ours / median:6.2f}' if label != own and ours is not None and median else ''
                    where = plural(workers) if row.depends_on_workers else ''
                    out.append(f'  {LABELS[label]:26}{where:11}{number(median):>9}  '
                               f'{number(low) + " .. " + number(high):>18}  {number(min(samples)):>8} {ratio}')
            for workers, text, met in verdicts(row, metric, figures):
                count += 1
                where = f' ({plural(workers)})' if row.depends_on_workers else ''
                out.append(f'  target: {text}{where}: {"met" if met else "MISSED"}')
                if not met:
                    missed.append(f'{row.name}: {metric.title}: {text}{where}')
            out.append('')
    return out, missed, count


HEADING = f'  {"":26}{"":11}{"median":>9}  {"quartiles":>18}  {"best":>8} ours/it'


def write_json(path, about, rows, figures):
    units = {(row.name, metric.name): metric.unit for row in rows for metric in row.metrics}
    samples = [{'row': row, 'metric': metric, 'unit': units[row, metric], 'who': label, 'workers': workers,
                'samples': values}
               for (row, metric, label, workers), values in figures.samples.items()]
    with open(path, 'w', encoding='utf-8') as file:
        json.dump(dict(about, samples=samples), file, indent=1)
        file.write('\n')


def step_of(highest):
    """A round number that divides the axis into about four."""
    power = 10.0 ** math.floor(math.log10(highest / 4)) if highest > 0 else 1
    return next(power * n for n in (1, 2, 5, 10) if power * n * 5 >= highest) if highest > 0 else 1


def panel(row, metric, figures, name):
    """The gnuplot commands of one panel: a bar for each line, its spread from the least to the most."""
    bars = list(lines_of(row, metric, figures))
    data = [f'${name} << END']
    highest, lowest = 0, float('inf')
    for at, (label, workers) in enumerate(bars):
        samples = figures.get(row.name, metric.name, label, workers)
        text = LABELS[label] + (f' {workers}w' if row.depends_on_workers else '')
        data.append(f'{at} "{text}" {statistics.median(samples)} {min(samples)} {max(samples)} '
                    f'{1 if row.commands[label].startswith("weft-") else 2}')
        highest, lowest = max(highest, max(samples)), min(lowest, min(samples))
    data.append('END')
    logarithmic = lowest > 0 and highest / lowest > 40
    data.append('set logscale x\nset xtics autofreq' if logarithmic
                else f'unset logscale x\nset xtics {step_of(highest * 1.1)}')
    data.append(f'set xrange [{lowest / 3 if logarithmic else 0}:{highest * (2 if logarithmic else 1.1) or 1}]')
    data.append(f'set yrange [{len(bars) - 0.4}:-0.6]')
    data.append(f'set title "{row.name}: {metric.title}, {metric.unit}" noenhanced')
    left = lowest / 3 if logarithmic else 0
    data.append(f'plot ${name} using ({left}):1:({left}):3:($1-0.35):($1+0.35):6:ytic(2) '
                f'with boxxyerrorbars fillstyle solid 0.8 linecolor variable notitle, \\\n'
                f'  ${name} using 3:1:4:5 with xerrorbars linecolor rgb "#303030" pointtype 0 notitle')
    return '\n'.join(data)


def write_svg(path, heading, rows, figures):
    """Draws with gnuplot. Returns why it could not, or None."""
    panels = [(row, metric) for row in rows for metric in row.metrics if list(lines_of(row, metric, figures))]
    if not panels:
        return 'nothing was measured'
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    script = [f'set terminal svg size {columns * 460},{lines * 260 + 40} dynamic font "sans-serif,10"',
              f'set output "{path}"',
              'set linetype 1 linecolor rgb "#c04020"', 'set linetype 2 linecolor rgb "#7090b0"',
              'set grid x', 'set tics nomirror', 'set ytics noenhanced', 'set format x "%g"',
              'set lmargin 24', 'set rmargin 3', 'set title font ",9" offset -8,0',
              f'set multiplot layout {lines},{columns} title "{heading}" noenhanced']
    script += [panel(row, metric, figures, f'd{i}') for i, (row, metric) in enumerate(panels)]
    script.append('unset multiplot')
    source = os.path.splitext(path)[0] + '.gnuplot'
    with open(source, 'w', encoding='utf-8') as file:
        file.write('\n'.join(script) + '\n')
    try:
        done = subprocess.run(['gnuplot', source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
    except OSError as error:
        return str(error)
    return None if done.returncode == 0 else done.stdout.strip()
