"""The embedded database, shared by real processes."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from moonx_pipeline.errors import OperatorError
from moonx_pipeline.storage.connection.embedded import embedded_url

pytestmark = pytest.mark.slow

_USE = """
import sys
from pathlib import Path
from sqlalchemy import create_engine
from moonx_pipeline.storage.connection.embedded import embedded_url
url = embedded_url(Path(sys.argv[1]))
with create_engine(url).connect() as connection:
    print(connection.exec_driver_sql("SELECT current_database()").scalar_one(), flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="moonx-home-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def user_of(home: Path, **options) -> subprocess.Popen[str]:
    """A process that uses the database until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", _USE, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "moonx\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def server_pid(home: Path) -> int | None:
    try:
        pid = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return None
    return pid if psutil.pid_exists(pid) else None


def test_processes_share_one_server_and_the_last_one_stops_it(home: Path) -> None:
    first = user_of(home)
    server = server_pid(home)
    second = user_of(home)
    assert server_pid(home) == server is not None

    end(first)
    assert server_pid(home) == server
    end(second)

    assert server_pid(home) is None


def test_ctrl_c_while_the_server_is_stopped_leaves_neither_it_nor_a_trace(home: Path) -> None:
    user = user_of(home, stderr=subprocess.PIPE)
    server = psutil.Process(server_pid(home))
    server.suspend()
    assert user.stdin is not None
    user.stdin.write("\n")
    user.stdin.flush()
    told_to_stop(server.pid)

    user.send_signal(signal.SIGINT)
    server.resume()

    assert user.communicate(timeout=30) == ("", "")
    assert (user.returncode, server_pid(home)) == (0, None)


@retry(retry=retry_if_exception_type(AssertionError), wait=wait_fixed(0.02), stop=stop_after_delay(30), reraise=True)
def told_to_stop(pid: int) -> None:
    (pending,) = re.findall(r"^ShdPnd:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert int(pending, 16) >> (signal.SIGINT - 1) & 1


def test_a_killed_user_leaves_nothing_that_the_next_one_does_not_clean_up(home: Path) -> None:
    killed = user_of(home)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert server_pid(home) is not None

    end(user_of(home))

    assert server_pid(home) is None


def test_a_killed_server_is_recovered_with_its_data(home: Path) -> None:
    user = user_of(home)
    psutil.Process(server_pid(home)).kill()
    user.kill()
    user.wait()

    end(user_of(home))  # at once, while the killed server's children are still there


def test_a_mark_whose_process_id_is_now_another_program_is_not_believed(home: Path) -> None:
    end(user_of(home))
    mark = home / "postgres" / "postmaster.pid"
    mark.write_text(f"{os.getpid()}\n{home}/postgres\n1700000000\n5432\n{home}/postgres\n\n  1 2\nready\n")

    end(user_of(home))


def test_a_mark_whose_server_is_dead_but_not_waited_for_is_not_believed(home: Path) -> None:
    end(user_of(home))
    program = home / "bin" / "postgres"
    program.parent.mkdir()
    shutil.copy(shutil.which("sleep"), program)
    zombie = subprocess.Popen([program, "60"])
    zombie.kill()
    mark = home / "postgres" / "postmaster.pid"
    mark.write_text(f"{zombie.pid}\n{home / 'postgres'}\n1\n5432\n{home / 'postgres'}\n\n0 0\nready\n")

    end(user_of(home))

    zombie.wait()


def test_a_first_start_that_was_broken_off_is_made_anew(home: Path) -> None:
    data = home / "postgres"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    (data / "base").mkdir()

    end(user_of(home))


def test_a_deep_home_works(home: Path) -> None:
    deep = home / ("a" * 60) / ("b" * 60)
    deep.mkdir(parents=True)

    end(user_of(deep))


def test_data_of_another_version_is_refused_with_what_to_do(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "PG_VERSION").write_text("12\n")

    with pytest.raises(OperatorError, match=r"PostgreSQL 12.*set MOONX_HOME"):
        embedded_url(home)


def test_a_home_that_is_a_file_is_refused_with_what_to_do(home: Path) -> None:
    (home / "file").touch()

    with pytest.raises(OperatorError, match="MOONX_HOME"):
        embedded_url(home / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="The suite runs as an ordinary user already.")
def test_an_ordinary_user_can_run_it_too() -> None:
    # The interpreter may live where an ordinary user can't look; PostgreSQL itself is what is tried.
    nobody = shutil.which("setpriv")
    if nobody is None or not os.access(sys.prefix, os.X_OK):
        pytest.skip("setpriv is not on this machine.")
    with tempfile.TemporaryDirectory(prefix="moonx-nobody-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o777)
        reach = subprocess.run(
            [nobody, "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", "pass"],
            capture_output=True,
            check=False,
        )
        if reach.returncode:
            pytest.skip("An ordinary user can't reach this interpreter.")
        process = subprocess.run(
            [nobody, "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", _USE, f"{folder}/home"],
            input="\n",
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "HOME": folder},
        )
    assert (process.returncode, process.stdout) == (0, "moonx\n"), process.stderr


def test_a_forked_child_keeps_the_server_while_it_lives(home: Path) -> None:
    code = _USE.replace(
        "sys.stdin.readline()",
        "import os\npid = os.fork()\nif pid == 0:\n    sys.stdin.readline()\n    os._exit(0)\nprint(pid, flush=True)\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "moonx\n"
    child = int(process.stdout.readline())
    process.wait(30)
    assert server_pid(home) is not None
    os.kill(child, signal.SIGKILL)
    gone(child)

    end(user_of(home))

    assert server_pid(home) is None


@retry(retry=retry_if_exception_type(AssertionError), wait=wait_fixed(0.02), stop=stop_after_delay(20), reraise=True)
def gone(pid: int) -> None:
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_the_url_is_of_a_private_socket(home: Path) -> None:
    process = user_of(home)
    try:
        url = embedded_url(home)
        engine = create_engine(url)
        with engine.connect() as connection:
            shown = connection.exec_driver_sql("SHOW listen_addresses").scalar_one()
            permissions = connection.exec_driver_sql("SHOW unix_socket_permissions").scalar_one()
        engine.dispose()
        assert (shown, permissions) == ("", "0700")
        assert (home / "postgres").stat().st_mode & 0o077 == 0
    finally:
        end(process)
