"""Exercises that never block.

`f = check("02.turns", f)` goes on with the learner's function where it is right, with the library's where it is not.
The answer is the library's own function; there is no second copy.

A function is *asked* questions of plain data, and its answers are *judged* apart from it, so that the same judge serves
the notebook and a grader that never touches the learner's code.
"""

from course_lib.exercises.checking import attempted, check, examine, judge
from course_lib.exercises.exercise import (
    Exercise,
    Mistake,
    Quiz,
    find_exercise,
    find_exercises,
    find_quiz,
    find_quizzes,
)
from course_lib.exercises.hints import hint, reveal
from course_lib.exercises.parting import diff
from course_lib.exercises.predictions import calibration, came_out, predict
from course_lib.exercises.quizzes import quiz

LEARNER = ("calibration", "came_out", "check", "diff", "hint", "predict", "quiz", "reveal")
"""What notebooks import from here."""

__all__ = [
    "Exercise",
    "Mistake",
    "Quiz",
    "attempted",
    "calibration",
    "came_out",
    "check",
    "diff",
    "examine",
    "find_exercise",
    "find_exercises",
    "find_quiz",
    "find_quizzes",
    "hint",
    "judge",
    "predict",
    "quiz",
    "reveal",
]
