"""Exercises that never block.

`f = check("02.turns", f)` continues with the learner's function if it is right, and with the library's if it is not.
The answer is the library's own function; there is no second copy.

A function is *asked* questions in plain data, and its answers are *judged* separately, so that the same judge serves
the notebook and a grader that never touches the learner's code.
"""

from course_lib.exercises.checking import attempted, check, examine, judge
from course_lib.exercises.choices import calibration, came_out, predict, quiz
from course_lib.exercises.exercise import (
    Exercise,
    Quiz,
    find_exercise,
    find_exercises,
    find_quiz,
    find_quizzes,
    stand_ins,
)
from course_lib.exercises.helping import diff, hint, reveal

__all__ = [
    "Exercise",
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
    "stand_ins",
]
