"""Grading a class: ask in the learner's kernel, judge in another process.

Whatever runs in a kernel that a learner's code has touched belongs to the learner. So nothing that comes out of it is
believed: it is asked for answers to questions drawn now, which leave it as plain data, and a process that never imports
the learner's code compares them with the library's own. A forged answer is worth points only where it is right.

    intake -> submission -> trusted -> sandbox (inside.py, stand_in.py) -> judging -> records -> reports

`python -m course_lib.grading.one` does all of it for one submission; `batch.py` does it for a class.
"""
