# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens inside one cycle of ours, by the times of its journal entries."""

MSEC = 1000                             # in microseconds


def _time(journal, cycle, *words):
    """Of the last entry of this cycle with all the words, in microseconds."""
    times = [int(entry["QUIESCED_TIME_USEC"]) for entry in list(journal.entries)
             if entry.get("QUIESCED_CYCLE") == cycle
             and all(word in entry.get("MESSAGE", "") for word in words)]
    return times[-1] if times else None


def look(contender, times, journal):
    """An empty answer for whoever is not ours."""
    if not hasattr(contender, "house"):
        return {}
    record = contender.house.record()
    ahead = times["realtime_ahead"]
    freeze_end = (times["freeze_end"] + ahead) / 1000
    thaw_begin = (times["thaw_begin"] + ahead) / 1000
    granted = _time(journal, record["cycle"], "granted")
    released = _time(journal, record["cycle"], "released")
    held = max(app["held_since"] for app in record["apps"])
    over = _time(journal, record["cycle"], "thawed: consistent")
    result = {"held_to_exit": (freeze_end - held) / MSEC,
              "thaw_to_verdict": (over - thaw_begin) / MSEC}
    if granted is not None:
        result["granted_to_exit"] = (freeze_end - granted) / MSEC
    if released is not None:
        result["thaw_to_released"] = (released - thaw_begin) / MSEC
    return result
