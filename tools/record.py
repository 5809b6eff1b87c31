"""`python tools/record.py` records the runs in the README's picture, and draws it."""

from lessons import FOLDER

from helpers.figures import png, stripes
from helpers.measure import calibrate, run
from helpers.runs import recorded
from helpers.trace import watched_countdown

RECORDED = FOLDER / "recorded"


def record_gil() -> None:
    """Record two threads and two processes that count."""
    n = calibrate(watched_countdown, seconds=0.25)
    for strategy in ("threads", "processes"):
        counted = run(watched_countdown, [n, n], strategy, workers=2)
        counted.save(RECORDED / f"gil_{strategy}.json")


def draw_gil() -> None:
    """Draw what is recorded, and print its sentence."""
    runs = recorded(RECORDED)
    figure, sentence = stripes.draw(runs["gil_threads"], runs["gil_processes"])
    (RECORDED / "gil.png").write_bytes(png(figure, sentence))
    print(sentence)


if __name__ == "__main__":
    record_gil()
    draw_gil()
