"""The exercises of the lessons: each has `show`, `check` and `hint`."""

from helpers.exercises.lesson_01 import keep_the_count, wait_together
from helpers.exercises.lesson_02 import as_they_come, sort_six
from helpers.exercises.lesson_03 import mend_the_pool, send_a_setting
from helpers.exercises.lesson_04 import joblib_loop, too_many_trips
from helpers.exercises.lesson_05 import read_the_law, shrink_the_serial_part
from helpers.exercises.lesson_06 import longest_first, read_ahead, send_once
from helpers.exercises.lesson_07 import cap_the_threads, flatten
from helpers.exercises.lesson_08 import (
    cancel_the_late,
    ten_at_a_time,
    unfreeze_the_loop,
)
from helpers.exercises.lesson_09 import cache_safely, choose_a_way
from helpers.exercises.lesson_10 import get_the_log, keep_the_rest, stop_in_time
from helpers.exercises.lesson_11 import safe_twice, scatter_once
from helpers.exercises.lesson_12 import each_its_own_way

__all__ = [
    "as_they_come",
    "cache_safely",
    "cancel_the_late",
    "cap_the_threads",
    "choose_a_way",
    "each_its_own_way",
    "flatten",
    "get_the_log",
    "joblib_loop",
    "keep_the_count",
    "keep_the_rest",
    "longest_first",
    "mend_the_pool",
    "read_ahead",
    "read_the_law",
    "safe_twice",
    "scatter_once",
    "send_a_setting",
    "send_once",
    "shrink_the_serial_part",
    "sort_six",
    "stop_in_time",
    "ten_at_a_time",
    "too_many_trips",
    "unfreeze_the_loop",
    "wait_together",
]
