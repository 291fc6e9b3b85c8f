# SPDX-License-Identifier: GPL-2.0-or-later
"""The table, the goals, the JSON and the plot of one run."""

import json
import shutil
import statistics
import subprocess

COLUMNS = (
    ("hook_freeze", "hook freeze"), ("hook_thaw", "hook thaw"),
    ("held_to_frozen", "last write to frozen"), ("stall", "stall"), ("added", "added to the floor"),
)
INSIDE = (
    ("granted_to_exit", "last lock granted to the freeze hook's exit"),
    ("held_to_exit", "last hold reported to the freeze hook's exit"),
    ("thaw_to_released", "exec of the thaw hook to the last lock released"),
    ("thaw_to_verdict", "exec of the thaw hook to the verdict"),
)


def spread(values, digits=1):
    return (f"{statistics.median(values):.{digits}f}"
            f" [{min(values):.{digits}f}-{max(values):.{digits}f}]")


class Report:
    """Of `rounds` (stall.py), `startup` (startup.py), and the machine's description."""

    def __init__(self, rounds, startup, titles, machine):
        self.rounds = rounds
        self.startup = startup
        self.titles = titles
        self.machine = machine
        for one in rounds:
            for result in one.values():
                result["added"] = result["stall"] - one["none"]["stall"]

    def column(self, name, key):
        return [one[name][key] for one in self.rounds if one.get(name, {}).get(key) is not None]

    def median(self, name, key):
        return statistics.median(self.column(name, key))

    def _row(self, name):
        clean = self.column(name, "clean")
        return [self.titles[name], *(spread(self.column(name, key)) for key, _ in COLUMNS),
                spread(self.column(name, "writes_between"), 0),
                f"{sum(clean)} of {len(clean)}", spread(self.column(name, "lost"), 0)]

    def lines(self):
        """All of it as text, in Markdown."""
        text = [self.machine, ""]
        if self.rounds:
            text += [f"Milliseconds; median [min-max] of {len(self.rounds)} interleaved rounds.", ""]
            text += table(["", *(title for _, title in COLUMNS), "writes after the hook",
                           "copies clean", "rows lost"], [self._row(name) for name in self.titles])
            text += ["", *self._inside()]
        if self.startup:
            text += ["", "Start-up: a freeze and a thaw, milliseconds, median [min-max].", ""]
            text += table(["scripts", "bare", "quiesced", "stock", "to bare", "to stock"],
                          [self._startup_row(count, runs) for count, runs in self.startup.items()])
        text += ["", *table(["goal", "limit", "measured", ""], self._goals())]
        return text

    def _inside(self):
        rows = [[title, spread(self.column(name, key), 2)] for name in ("quiesced",)
                for key, title in INSIDE if self.column(name, key)]
        return table(["inside quiesced, by the journal's times", "ms"], rows)

    @staticmethod
    def _startup_row(count, runs):
        bare, ours = statistics.median(runs["bare"]), statistics.median(runs["quiesced"])
        row = [str(count), spread(runs["bare"], 2), spread(runs["quiesced"], 2)]
        if "stock" not in runs:
            return [*row, "-", f"{ours / bare:.2f}", "-"]
        stock = statistics.median(runs["stock"])
        return [*row, spread(runs["stock"], 2), f"{ours / bare:.2f}", f"{ours / stock:.2f}"]

    def _goals(self):
        return [[title, f"<= {limit:g}{unit}", f"{value:.3g}{unit}",
                 "met" if value <= limit else "missed"]
                for title, limit, value, unit in self.goals()]

    def goals(self):
        """(title, limit, measured, unit)"""
        found = []
        if self.rounds:
            for key, title, limit in (("granted_to_exit", INSIDE[0][1], 5),
                                      ("thaw_to_released", INSIDE[2][1], 4)):
                if self.column("quiesced", key):
                    found.append((title, limit, self.median("quiesced", key), " ms"))
            difference = [one["quiesced"]["stall"] - one["holder"]["stall"] for one in self.rounds]
            found.append(("stall beyond the bare C holder's", 5, statistics.median(difference),
                          " ms"))
            if "stock" in self.titles:
                found.append(("added to the floor, to what the stock hook adds", 1 / 60,
                              self.median("quiesced", "added") / self.median("stock", "added"),
                              ""))
        for count, against, limit in ((0, "bare", 1.3), (10, "bare", 1.3), (10, "stock", 0.5)):
            runs = self.startup.get(count, {})
            if against in runs:
                what = f"{count} scripts, to their bare executions" if against == "bare" else \
                       f"{count} scripts, to the stock hook"
                if count == 0:
                    what = "nothing configured, to an empty C program"
                found.append((what, limit, statistics.median(runs["quiesced"])
                              / statistics.median(runs[against]), " x"))
        return found

    def write_json(self, path):
        path.write_text(json.dumps({
            "machine": self.machine, "rounds": self.rounds, "startup": self.startup,
            "goals": [{"goal": title, "limit": limit, "measured": value, "unit": unit.strip()}
                      for title, limit, value, unit in self.goals()]}, indent=1) + "\n")

    def plot(self, path):
        """Added stall of each contender; the stock hook's is why the scale is a log."""
        if shutil.which("gnuplot") is None or not self.rounds:
            return False
        rows = "".join(f'"{self.titles[name]}" {self.median(name, "stall")}'
                       f' {min(self.column(name, "stall"))} {max(self.column(name, "stall"))}\n'
                       for name in self.titles)
        script = f"""
set terminal svg size 900,420 font "sans,13" background "white"
set output "{path}"
set title "How long writers stand still (hold {self.rounds[0]['none']['hold_ms']} ms)"
set ylabel "ms, log scale"
set logscale y
set yrange [100:*]
set boxwidth 0.5
set style fill solid 0.5
set grid ytics
unset key
$data << EOD
{rows}EOD
plot $data using 0:2:xtic(1) with boxes, '' using 0:2:3:4 with yerrorbars lc black
"""
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
        return True


def table(head, rows):
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]

    def line(cells):
        return "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths)) + " |"
    return [line(head), line(["-" * width for width in widths]), *map(line, rows)]
