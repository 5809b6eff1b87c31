"""What the tests rely on, however they are started."""

import signal
import subprocess
import sys

# As `make test &` starts them.
IN_THE_BACKGROUND = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.SIG_IGN)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[1]]))
"""


def test_an_interrupt_is_heard() -> None:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_heard_in_the_background_too() -> None:
    command = [sys.executable, "-c", IN_THE_BACKGROUND]
    one = f"{__file__}::{test_an_interrupt_is_heard.__name__}"
    done = subprocess.run([*command, one], capture_output=True, text=True)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout
