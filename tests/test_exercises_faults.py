"""The exercises of lesson 10 name what is wrong with each wrong answer."""

import logging
import queue as queues
import threading
import time
from collections.abc import Callable
from concurrent.futures import (
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    as_completed,
    wait,
)
from functools import partial
from logging.handlers import QueueHandler, QueueListener
from multiprocessing import Manager, Pool, Queue
from threading import Event, Thread, Timer
from typing import Any

import answers
import pytest
from conftest import START_METHODS, default_method
from test_exercises import (
    ALONE,
    DISORDERED,
    FOR_EACH,
    HELD_BACK,
    HID,
    IN_THREADS,
    NOTHING,
    OF_ONE,
    OPEN,
    TWICE,
    UNWAITED,
    WAITED,
    assert_named,
    wrong,
)

from helpers.exercises import attempt as attempts
from helpers.exercises import get_the_log, keep_the_rest, stop_in_time
from helpers.exercises.exercise import Exercise
from helpers.machine import gil_enabled

Answer = Callable[..., Any]
Rest = tuple[list, dict]

pytestmark = pytest.mark.usefixtures("nothing_stays", "impatient")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tasks can't meet, however long they wait, don't let the tests wait."""
    monkeypatch.setattr(attempts, "SOON", 0.6)


# Keep the rest.

ALL_LOST = "The error of one bad input came out, and all results are lost"
ONE_KIND = "A TypeError came out: an error of any kind"
AFTER_LOST = "What comes after the first error is lost"
IN_THE_LIST = "Something stands in the list for a bad input"
GONE = "The errors are gone"
TWO_THINGS = "Return two things"
ELSEWHERE = "The errors stand under something else"
NO_ERROR = "A bad input has no error in the dictionary"
GOOD_ONE = "An input that is good stands among the errors"
NO_OBJECT = "Keep the error itself"
ANOTHER = "An error is not the one that work raised"
TOOK_STOP = "took it for the error of an input"
ALL_AFTER = "After Stop, all that waited was run"
NO_END = "Stop was pressed, and your function did not end"


def each_kept(
    work: Answer,
    inputs: list,
    catch: Any = Exception,
    note: Answer = lambda errors, each, error: errors.update({each: error}),
    pool: Answer = ProcessPoolExecutor,
    cancels: bool = True,
) -> Rest:
    """Right by itself; an option makes it wrong."""
    results, errors = [], dict[Any, Any]()
    with pool(2) as opened:
        try:
            futures = {each: opened.submit(work, each) for each in inputs}
            for each, future in futures.items():
                try:
                    results.append(future.result())
                except catch as error:
                    note(errors, each, error)
        finally:
            opened.shutdown(cancel_futures=cancels)
    return results, errors


def asked_first(
    work: Answer, inputs: list, waits: Answer = lambda futures: None
) -> Rest:
    """Right: exception() waits too, and raises nothing."""
    with ProcessPoolExecutor(2) as pool:
        futures = {each: pool.submit(work, each) for each in inputs}
        try:
            waits(futures.values())
            found = {each: future.exception() for each, future in futures.items()}
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise
    errors = {each: error for each, error in found.items() if error}
    good = [each for each in inputs if each not in errors]
    return [futures[each].result() for each in good], errors


def caught_in_workers(work: Answer, inputs: list, answer: Answer) -> Rest:
    """Right: each task returns two things."""
    pairs = answer(partial(answers.with_error, work), inputs)
    found = dict(zip(inputs, pairs, strict=True))
    errors = {each: error for each, (_, error) in found.items() if error}
    return [result for result, error in found.values() if not error], errors


def stops_at_the_first(work: Answer, inputs: list, pools: answers.Executors) -> Rest:
    results, errors = [], {}
    with pools(2) as pool:
        found = pool.map(work, inputs)
        for each in inputs:
            try:
                results.append(next(found))
            except StopIteration:
                break
            except Exception as error:
                errors[each] = error
    return results, errors


def as_they_ended(work: Answer, inputs: list) -> Rest:
    """The order is that in which they ended."""
    results, errors = [], {}
    with ThreadPoolExecutor(4) as pool:
        futures = {pool.submit(work, each): each for each in reversed(inputs)}
        for future in as_completed(futures):
            try:
                results.append(future.result())
            except Exception as error:
                errors[futures[future]] = error
    return results[::-1] if results == sorted(results) else results, errors


def leaves_a_gap(work: Answer, inputs: list) -> Rest:
    results, errors = [], {}
    with ProcessPoolExecutor(2) as pool:
        for each, future in [(each, pool.submit(work, each)) for each in inputs]:
            errors[each] = future.exception()
            results.append(None if errors[each] else future.result())
    return results, {each: error for each, error in errors.items() if error}


def all_among_errors(work: Answer, inputs: list) -> Rest:
    results, errors = asked_first(work, inputs)
    return results, {each: errors.get(each) for each in inputs}


def only_results(work: Answer, inputs: list) -> list:
    return each_kept(work, inputs)[0]


def three_things(work: Answer, inputs: list) -> tuple:
    return (*each_kept(work, inputs), len(inputs))


def nothing_returned(work: Answer, inputs: list) -> None:
    each_kept(work, inputs)


def tried_again(work: Answer, inputs: list) -> Rest:
    """All are computed once more."""
    try:
        with ProcessPoolExecutor(2) as pool:
            return list(pool.map(work, inputs)), {}
    except Exception:
        return each_kept(work, inputs)


def open_after_stop(work: Answer, inputs: list, closes: bool = True) -> Rest:
    """What waits is cancelled, but the pool stays open; or it always does."""
    results, errors = [], {}
    pool = ProcessPoolExecutor(2)
    futures = {each: pool.submit(work, each) for each in inputs}
    try:
        for each, future in futures.items():
            try:
                results.append(future.result())
            except Exception as error:
                errors[each] = error
    except KeyboardInterrupt:
        for future in futures.values():
            future.cancel()
        raise
    if closes:
        pool.shutdown()
    return results, errors


def until_stopped(work: Answer, inputs: list) -> Rest:
    """Stop gives what there is, and the caller goes on."""
    results, errors = [], {}
    with ProcessPoolExecutor(2) as pool:
        futures = {each: pool.submit(work, each) for each in inputs}
        try:
            for each, future in futures.items():
                try:
                    results.append(future.result())
                except Exception as error:
                    errors[each] = error
        except KeyboardInterrupt:
            pass
    return results, errors


def note_text(errors: dict, each: Any, error: BaseException) -> None:
    errors[each] = str(error)


def note_another(errors: dict, each: Any, error: BaseException) -> None:
    errors[each] = RuntimeError(f"{each} is bad: {error}")


def note_number(errors: dict, each: Any, error: BaseException) -> None:
    errors[len(errors)] = error


def note_last(errors: dict, each: Any, error: BaseException) -> None:
    errors.clear()
    errors[each] = error


def note_nothing(errors: dict, each: Any, error: BaseException) -> None:
    pass


def rest_of(work: Answer, inputs: list, answer: Answer) -> Rest:
    """What an answer that knows of no errors makes of good and bad."""
    return caught_in_workers(work, inputs, answer)


IN_TWO = partial(answers.pool_of_two, pools=ProcessPoolExecutor)
IN_TWO_THREADS = partial(answers.pool_of_two, pools=ThreadPoolExecutor)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(each_kept),
        wrong(each_kept, pool=ThreadPoolExecutor),
        wrong(asked_first),
        wrong(asked_first, waits=wait),
        wrong(each_kept, ALL_AFTER, cancels=False),
        wrong(each_kept, ALL_AFTER, cancels=False, pool=ThreadPoolExecutor),
        wrong(rest_of, answer=IN_TWO),
        wrong(rest_of, answer=IN_TWO_THREADS),
        wrong(rest_of, answer=answers.joblib),
        wrong(rest_of, answer=answers.in_a_process_pool),
        wrong(rest_of, answer=answers.in_a_thread_pool),
        wrong(IN_TWO, ALL_LOST),
        wrong(each_kept, ONE_KIND, catch=ValueError),
        wrong(each_kept, TOOK_STOP, catch=BaseException),
        wrong(until_stopped, NO_END),
        wrong(stops_at_the_first, AFTER_LOST, NO_ERROR, pools=ProcessPoolExecutor),
        wrong(leaves_a_gap, IN_THE_LIST),
        wrong(all_among_errors, GOOD_ONE),
        wrong(each_kept, GONE, note=note_nothing),
        wrong(each_kept, NO_OBJECT, note=note_text),
        wrong(each_kept, ANOTHER, note=note_another),
        wrong(each_kept, ELSEWHERE, note=note_number),
        wrong(each_kept, NO_ERROR, note=note_last),
        wrong(only_results, GONE),
        wrong(three_things, TWO_THINGS),
        wrong(nothing_returned, NOTHING),
        wrong(tried_again, TWICE),
        wrong(as_they_ended, DISORDERED),
        wrong(rest_of, ALONE, answer=answers.in_a_row),
        wrong(rest_of, HELD_BACK, answer=answers.behind_a_lock),
        wrong(
            rest_of,
            OF_ONE,
            answer=partial(answers.pool_of_one, pools=ProcessPoolExecutor),
        ),
        wrong(
            rest_of,
            WAITED,
            answer=partial(answers.waits_for_each, pools=ProcessPoolExecutor),
        ),
        wrong(
            rest_of,
            FOR_EACH,
            answer=partial(answers.pool_for_each, pools=ThreadPoolExecutor),
        ),
        wrong(open_after_stop, OPEN, closes=False),
        wrong(open_after_stop, OPEN),
    ],
)
def test_keep_the_rest(answer: Answer, fragments: list[str]) -> None:
    assert_named(keep_the_rest.judge(answer), *fragments)


@pytest.mark.parametrize("method", START_METHODS)
def test_keep_the_rest_however_workers_start(method: str) -> None:
    with default_method(method):
        assert_named(keep_the_rest.judge(each_kept))
        assert_named(keep_the_rest.judge(partial(rest_of, answer=IN_TWO)))
        assert_named(keep_the_rest.judge(IN_TWO), ALL_LOST)


# Stop in time.

NOBODY_TOLD = "all went on to their end: nobody told them"
RUNNING_UNTOLD = "Who waited was cancelled, but nobody told those who ran"
WENT_ON = "Tasks went on when your function had returned"
UNAWAITED = "Tasks still ran when your function had returned: wait for them"
BEGAN_LATE = "Tasks began when the time was up"
TOO_EARLY = "The event was set long before the time was up"
HAS_NO_RESULT = "A task that was cancelled has no result"
TIMED_OUT = "TimeoutError came out"
DONE_LOST = "What was done in time is lost"
PART_LOST = "What a task had when it was told is lost"
NONE_THERE = "There is a None"
NO_DICTIONARY = "no dictionary but list"
BUSY = "Your function asked again and again"
WAITED_ON = "All was done early, and your function waited on"


def in_time(
    work: Answer,
    inputs: list,
    seconds: float,
    waits: Answer = wait,
    cancels: bool = True,
    tells: bool = True,
    first: bool = True,
    asks: Answer = lambda future: not future.cancelled(),
    awaits: bool = True,
) -> dict:
    """Right by itself; an option makes it wrong, but for `first`."""
    stop = Event()
    pool = ThreadPoolExecutor(2)
    futures = {each: pool.submit(work, each, stop) for each in inputs}
    waits(futures.values(), timeout=seconds)
    if tells and not first:
        stop.set()
    pool.shutdown(wait=False, cancel_futures=cancels)
    if tells and first:
        stop.set()
    pool.shutdown(wait=awaits)
    return {each: f.result() for each, f in futures.items() if asks(f)}


def none_for_the_rest(work: Answer, inputs: list, seconds: float) -> dict:
    done = in_time(work, inputs, seconds)
    return {each: done.get(each) for each in inputs}


def in_processes(work: Answer, inputs: list, seconds: float) -> dict:
    with Manager() as manager, ProcessPoolExecutor(2) as pool:
        stop = manager.Event()
        futures = {each: pool.submit(work, each, stop) for each in inputs}
        wait(futures.values(), timeout=seconds)
        stop.set()
        return {each: future.result() for each, future in futures.items()}


def a_list(work: Answer, inputs: list, seconds: float) -> list:
    return list(in_time(work, inputs, seconds).values())


def nothing_kept(work: Answer, inputs: list, seconds: float) -> None:
    in_time(work, inputs, seconds)


def whole_ones_only(work: Answer, inputs: list, seconds: float) -> dict:
    """What is done when the time is up, and no more."""
    stop = Event()
    with ThreadPoolExecutor(2) as pool:
        futures = {pool.submit(work, each, stop): each for each in inputs}
        done, _ = wait(futures, timeout=seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        stop.set()
    return {futures[future]: future.result() for future in done}


def parts_only(work: Answer, inputs: list, seconds: float) -> dict:
    """Who has ended is forgotten."""
    stop = Event()
    with ThreadPoolExecutor(2) as pool:
        futures = {pool.submit(work, each, stop): each for each in inputs}
        _, late = wait(futures, timeout=seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        stop.set()
        if not late:
            return {futures[future]: future.result() for future in futures}
    return {futures[f]: f.result() for f in late if not f.cancelled()}


def a_limit_for_each(work: Answer, inputs: list, seconds: float) -> dict:
    stop = Event()
    with ThreadPoolExecutor(2) as pool:
        futures = {each: pool.submit(work, each, stop) for each in inputs}
        try:
            return {each: f.result(timeout=seconds) for each, f in futures.items()}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            stop.set()


def with_a_timer(work: Answer, inputs: list, seconds: float) -> dict:
    """Right: whose turn comes late doesn't begin."""
    stop = Event()
    timer = Timer(seconds, stop.set)

    def unless_stopped(each: str) -> Any:
        return None if stop.is_set() else work(each, stop)

    timer.start()
    try:
        with ThreadPoolExecutor(2) as pool:
            found = zip(inputs, pool.map(unless_stopped, inputs), strict=True)
            return {each: value for each, value in found if value is not None}
    finally:
        timer.cancel()


def timer_goes_on(work: Answer, inputs: list, seconds: float) -> dict:
    stop = Event()
    Timer(seconds, stop.set).start()
    with ThreadPoolExecutor(2) as pool:
        futures = {each: pool.submit(work, each, stop) for each in inputs}
        while not stop.wait(0.01) and not all(f.done() for f in futures.values()):
            pass
        pool.shutdown(wait=False, cancel_futures=True)
    return {each: f.result() for each, f in futures.items() if not f.cancelled()}


def by_hand(work: Answer, inputs: list, seconds: float) -> dict:
    """Right but for errors, which end in the threads."""
    stop, done, left = Event(), dict[str, Any](), iter(inputs)
    lock = threading.Lock()

    def worker() -> None:
        while not stop.is_set():
            with lock:
                each = next(left, None)
            if each is None:
                return
            done[each] = answers.or_none(partial(work, each), stop)

    threads = [Thread(target=worker) for _ in range(2)]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    stop.set()
    for thread in threads:
        thread.join()
    return {each: value for each, value in done.items() if value is not None}


def one_by_one(work: Answer, inputs: list, seconds: float) -> dict:
    stop, until, done = Event(), time.monotonic() + seconds, {}
    for each in inputs:
        if time.monotonic() > until:
            break
        done[each] = work(each, stop)
    return done


def events_of_their_own(work: Answer, inputs: list, seconds: float) -> dict:
    stop = Event()
    with ThreadPoolExecutor(2) as pool:
        futures = {each: pool.submit(work, each, Event()) for each in inputs}
        wait(futures.values(), timeout=seconds)
        pool.shutdown(wait=False, cancel_futures=True)
        stop.set()
    return {each: f.result() for each, f in futures.items() if not f.cancelled()}


def at_once(work: Answer, inputs: list, seconds: float) -> dict:
    """The event is set when the last input is handed in."""
    stop = Event()
    with ThreadPoolExecutor(len(inputs)) as pool:
        futures = {each: pool.submit(work, each, stop) for each in inputs}
        time.sleep(0.02)
        stop.set()
    return {each: future.result() for each, future in futures.items()}


def swallowed(work: Answer, inputs: list, seconds: float) -> dict:
    def kept(each: str, stop: Event) -> Any:
        return answers.or_none(partial(work, each), stop)

    found = in_time(kept, inputs, seconds)
    return {each: value for each, value in found.items() if value is not None}


def twice(work: Answer, inputs: list, seconds: float) -> dict:
    def again(each: str, stop: Event) -> Any:
        part = work(each, stop)
        return part if stop.is_set() else work(each, stop)

    return in_time(again, inputs, seconds)


def unclosed(work: Answer, inputs: list, seconds: float) -> dict:
    stop = Event()
    pool = ThreadPoolExecutor(2)
    futures = {each: pool.submit(work, each, stop) for each in inputs}
    wait(futures.values(), timeout=seconds)
    for future in futures.values():
        future.cancel()
    stop.set()
    return {each: f.result() for each, f in futures.items() if not f.cancelled()}


def busily(futures: Any, timeout: float) -> None:
    until = time.monotonic() + timeout
    while time.monotonic() < until and not all(each.done() for each in futures):
        pass


def asleep(futures: Any, timeout: float) -> None:
    time.sleep(timeout)


def politely(futures: Any, timeout: float) -> None:
    """Right: it asks again and again, but sleeps."""
    until = time.monotonic() + timeout
    while time.monotonic() < until and not all(each.done() for each in futures):
        time.sleep(0.005)


def has_result(future: Future) -> bool:
    return future.done() and not future.cancelled()


def is_any(future: Future) -> bool:
    return True


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(in_time),
        wrong(in_time, first=False),
        wrong(in_time, waits=politely),
        wrong(with_a_timer),
        wrong(by_hand, HID),
        wrong(swallowed, HID),
        wrong(in_time, NOBODY_TOLD, tells=False, cancels=False),
        wrong(in_time, RUNNING_UNTOLD, tells=False),
        wrong(events_of_their_own, RUNNING_UNTOLD),
        wrong(in_time, BEGAN_LATE, cancels=False),
        wrong(in_time, PART_LOST, UNAWAITED, asks=has_result, awaits=False),
        wrong(in_time, HAS_NO_RESULT, asks=is_any),
        wrong(in_time, WAITED_ON, waits=asleep),
        wrong(in_time, BUSY, waits=busily),
        wrong(in_time, DONE_LOST, WENT_ON, tells=False, asks=has_result, awaits=False),
        wrong(in_processes, "an event is for the threads of one process"),
        wrong(none_for_the_rest, NONE_THERE),
        wrong(a_list, NO_DICTIONARY),
        wrong(nothing_kept, NOTHING),
        wrong(whole_ones_only, PART_LOST),
        wrong(parts_only, DONE_LOST),
        wrong(a_limit_for_each, TIMED_OUT),
        wrong(timer_goes_on, UNWAITED),
        wrong(one_by_one, ALONE),
        wrong(at_once, TOO_EARLY),
        wrong(twice, TWICE),
        wrong(unclosed, OPEN),
    ],
)
def test_stop_in_time(answer: Answer, fragments: list[str]) -> None:
    assert_named(stop_in_time.judge(answer), *fragments)


# Get the log.

NO_RECORD = "No record came to your handler"
IN_A_COPY = "Your handler wrote in a forked worker's copy"
MORE_THAN_ONCE = "A record came more than once"
MADE_ANEW = "it was made anew"
WERE_LOST = "records were lost"
LEFT = "The listener was left running"
LEFT_AFTER_ERROR = "After an error the listener was left running"
EARLY = "The listener was stopped while the pool was open"
NO_LOCK = "A handler, or a queue for threads, can't be sent to a worker"
WITH_A_GIL = [IN_THREADS] if gil_enabled() else []
FRESH = "Where workers start fresh: "


def logged(
    work: Answer,
    inputs: list,
    handler: logging.Handler,
    begin: Answer = answers.log_into,
    pool: Answer = ProcessPoolExecutor,
    queue: Answer = Queue,
    handlers: int = 1,
) -> list:
    """Right by itself; an option makes it wrong."""
    records = queue()
    listener = QueueListener(records, *[handler] * handlers)
    listener.start()
    try:
        with pool(2, initializer=begin, initargs=(records,)) as opened:
            return list(opened.map(work, inputs))
    finally:
        listener.stop()


def with_a_manager(work: Answer, inputs: list, handler: logging.Handler) -> list:
    with Manager() as manager:
        return logged(work, inputs, handler, queue=manager.Queue)


def in_a_pool(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """Right: workers that have nothing left to do send their last records."""
    records: Any = Queue()
    listener = QueueListener(records, handler)
    listener.start()
    try:
        pool = Pool(2, answers.log_into, (records,))
        try:
            return pool.map(work, inputs, chunksize=1)
        finally:
            pool.close()
            pool.join()
    finally:
        listener.stop()


def by_own_thread(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """Right: a thread does what a listener does."""
    records: Any = Queue()

    def listen() -> None:
        while record := records.get():
            handler.handle(record)

    thread = Thread(target=listen)
    thread.start()
    options: Any = {"initializer": answers.log_into, "initargs": (records,)}
    try:
        with ProcessPoolExecutor(2, **options) as pool:
            return list(pool.map(work, inputs))
    finally:
        records.put(None)
        thread.join()


def unheard(work: Answer, inputs: list, handler: logging.Handler) -> list:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(work, inputs))


def in_the_notebook_only(
    work: Answer, inputs: list, handler: logging.Handler, answer: Answer = IN_TWO
) -> list:
    logging.getLogger().addHandler(handler)
    return answer(work, inputs)


def inherited(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """Only what is forked has the notebook's handler."""
    records: Any = Queue()
    listener = QueueListener(records, handler)
    logging.getLogger().handlers = [QueueHandler(records)]
    listener.start()
    try:
        return IN_TWO(work, inputs)
    finally:
        listener.stop()


def twice_told(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """A forked worker writes with its copy, and sends too."""
    logging.getLogger().addHandler(handler)
    return logged(work, inputs, handler, begin=answers.log_also_into)


def told_anew(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """Only the words are kept."""
    log = logging.Logger("notebook")
    log.addHandler(handler)

    class Again(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            log.warning(record.getMessage())

    return logged(work, inputs, Again())


def some_kept(work: Answer, inputs: list, handler: logging.Handler) -> list:
    class Some(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() != inputs[0]:
                handler.handle(record)

    return logged(work, inputs, Some())


def stopped_early(work: Answer, inputs: list, handler: logging.Handler) -> list:
    records: Any = Queue()
    listener = QueueListener(records, handler)
    listener.start()
    options: Any = {"initializer": answers.log_into, "initargs": (records,)}
    with ProcessPoolExecutor(2, **options) as pool:
        try:
            return list(pool.map(work, inputs))
        finally:
            listener.stop()


def never_stopped(
    work: Answer, inputs: list, handler: logging.Handler, stops: bool = False
) -> list:
    records: Any = Queue()
    listener = QueueListener(records, handler)
    listener.start()
    options: Any = {"initializer": answers.log_into, "initargs": (records,)}
    with ProcessPoolExecutor(2, **options) as pool:
        results = list(pool.map(work, inputs))
    if stops:
        listener.stop()
    return results


def sends_the_handler(work: Answer, inputs: list, handler: logging.Handler) -> list:
    options: Any = {"initializer": answers.log_with, "initargs": (handler,)}
    with ProcessPoolExecutor(2, **options) as pool:
        return list(pool.map(work, inputs))


def errors_hidden(work: Answer, inputs: list, handler: logging.Handler) -> list:
    return logged(partial(answers.or_none, work), inputs, handler)


def pool_left_open(work: Answer, inputs: list, handler: logging.Handler) -> list:
    def pool(*args: Any, **options: Any) -> Any:
        return answers.Unclosed(ProcessPoolExecutor(*args, **options))

    return logged(work, inputs, handler, pool=pool)


def told_by_the_notebook(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """The notebook writes what it thinks that the workers log."""
    for each in inputs:
        handler.handle(logging.makeLogRecord({"msg": each, "processName": "Worker-1"}))
    return IN_TWO(work, inputs)


@pytest.mark.parametrize(
    "answer, fragments",
    [
        wrong(logged),
        wrong(with_a_manager),
        wrong(in_a_pool),
        wrong(by_own_thread),
        wrong(logged, begin=answers.log_formatted_into),
        wrong(logged, begin=answers.log_into_and_say_so),
        wrong(unheard, NO_RECORD),
        wrong(logged, MORE_THAN_ONCE, handlers=2),
        wrong(told_anew, MADE_ANEW),
        wrong(told_by_the_notebook, MADE_ANEW),
        wrong(some_kept, "1 of 6 records were lost"),
        wrong(stopped_early, EARLY),
        wrong(never_stopped, LEFT),
        wrong(never_stopped, LEFT_AFTER_ERROR, stops=True),
        wrong(logged, *WITH_A_GIL, pool=ThreadPoolExecutor),
        wrong(in_the_notebook_only, ALONE, answer=answers.in_a_row),
        wrong(errors_hidden, HID),
        wrong(pool_left_open, OPEN),
    ],
)
def test_get_the_log(answer: Answer, fragments: list[str]) -> None:
    assert_named(get_the_log.judge(answer), *fragments)


@pytest.mark.parametrize("method", START_METHODS)
def test_get_the_log_however_workers_start(method: str) -> None:
    with default_method(method):
        assert_named(get_the_log.judge(logged))
        assert_named(get_the_log.judge(unheard), NO_RECORD)
        assert_named(get_the_log.judge(never_stopped), LEFT)


read: list[Any] = []


def unawaited_reader(work: Answer, inputs: list, handler: logging.Handler) -> list:
    """Nobody ends the thread that reads."""
    records: Any = Queue()
    read.append(records)

    def listen() -> None:
        while True:
            handler.handle(records.get())

    Thread(target=listen).start()
    options: Any = {"initializer": answers.log_into, "initargs": (records,)}
    with ProcessPoolExecutor(2, **options) as pool:
        results = list(pool.map(work, inputs))
    time.sleep(0.5)
    return results


def reads_for_ever(work: Answer, inputs: list, handler: logging.Handler) -> None:
    records: Any = Queue()
    read.append(records)
    while True:
        handler.handle(records.get())


# What ends them is a SystemExit.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "answer, limit, fault",
    [
        (unawaited_reader, 30.0, UNWAITED),
        (reads_for_ever, 1.0, "Your function had not returned after 1 seconds"),
    ],
)
def test_who_reads_a_queue_for_ever_does_not_hold_up_the_end(
    answer: Answer, limit: float, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "LIMIT", limit)
    before = set(threading.enumerate())
    assert_named(get_the_log.judge(answer), fault)
    assert all(each.daemon for each in set(threading.enumerate()) - before)
    while read:  # they have been told to end, and do so when something comes
        queue = read.pop()
        queue.put(None)
        queue.close()


def test_whoever_waits_for_the_event_is_ended() -> None:
    """Nobody else sets it."""

    def handed(work: Answer, inputs: list, seconds: float) -> dict:
        stop = Event()
        with ThreadPoolExecutor(2) as pool:
            futures = {each: pool.submit(work, each, stop) for each in inputs}
            stop.wait()
        return {each: future.result() for each, future in futures.items()}

    assert_named(stop_in_time.judge(handed), NOBODY_TOLD)


@pytest.mark.parametrize("method", START_METHODS)
@pytest.mark.parametrize(
    "answer, forked, fresh",
    [
        (in_the_notebook_only, IN_A_COPY, NO_RECORD),
        (inherited, FRESH + NO_RECORD, NO_RECORD),
        (twice_told, MORE_THAN_ONCE, ""),
        (sends_the_handler, IN_A_COPY, NO_LOCK),
        (partial(logged, queue=queues.Queue), NO_RECORD, NO_LOCK),
    ],
)
def test_what_works_for_forked_workers_only(
    answer: Answer, forked: str, fresh: str, method: str
) -> None:
    with default_method(method):
        fault = forked if method == "fork" else fresh
        assert_named(get_the_log.judge(answer), *filter(None, [fault]))


def test_the_logging_of_the_notebook_stays() -> None:
    def levelled(work: Answer, inputs: list, handler: logging.Handler) -> list:
        logging.getLogger().setLevel(logging.DEBUG)
        return logged(work, inputs, handler)

    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.lastResort
    for answer in (in_the_notebook_only, inherited, never_stopped, levelled):
        list(get_the_log.judge(answer))
    assert (root.handlers, root.level, logging.lastResort) == before


# What they show.


def shown(exercise: Exercise, answer: Answer, capsys: pytest.CaptureFixture) -> str:
    capsys.readouterr()
    exercise.show(answer)
    return capsys.readouterr().out


def test_what_is_shown(capsys: pytest.CaptureFixture) -> None:
    said = shown(keep_the_rest, each_kept, capsys)
    assert said.startswith("Inputs: 12. Results: 11. Errors: 1\n")
    until_the_end = partial(in_time, tells=False, cancels=False)
    assert shown(stop_in_time, until_the_end, capsys).startswith("12 of 12 inputs")
    assert not shown(stop_in_time, in_time, capsys).startswith("12 of 12 inputs")
    assert len(shown(get_the_log, logged, capsys).splitlines()) == 8 + 2
    assert shown(get_the_log, unheard, capsys).startswith("No record came")
