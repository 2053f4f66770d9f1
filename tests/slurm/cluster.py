"""A Slurm of one or more nodes on the loopback of this machine, in a directory of its own."""
from __future__ import annotations

import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={place}/msock/munge.socket
CryptoType=crypto/munge
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool-%n
SlurmctldPidFile={place}/run/slurmctld.pid
SlurmdPidFile={place}/run/slurmd-%n.pid
SlurmctldLogFile={place}/log/slurmctld.log
SlurmdLogFile={place}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
MaxArraySize={largest_array}
SlurmdTimeout=5
MpiDefault=none
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    return [program for program in PROGRAMS if shutil.which(program) is None]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def children_of(process: int) -> list[int]:
    """Of the process, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [process]
    while left:
        mine = parents.get(left.pop(), [])
        found += mine
        left += mine
    return found


def command_lines() -> list[tuple[int, str]]:
    """Of all processes."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append((int(entry.parent.name), entry.read_bytes().decode(errors="replace")))
        except OSError:
            continue  # it has just ended
    return found


def send_all(what: signal.Signals, processes: list[int]) -> None:
    for process in processes:
        try:
            os.kill(process, what)
        except ProcessLookupError:
            pass


class Cluster:
    """Started by `with`; every process is one that this object has started or its child."""

    def __init__(self, place: pathlib.Path, nodes: int, largest_array: int) -> None:
        self.place, self.daemons = place, dict[str, subprocess.Popen[bytes]]()
        for name in ("state", "log", "run", "munge", "msock"):
            (place / name).mkdir(parents=True)
        place.chmod(0o755)
        (place / "munge").chmod(0o700)
        (place / "msock").chmod(0o711)
        (place / "munge/munge.key").write_bytes(os.urandom(1024))
        (place / "munge/munge.key").chmod(0o400)
        ports = free_ports(nodes + 1)
        self.nodes = [f"n{i + 1}" for i in range(nodes)]
        lines = [f"NodeName={name} NodeAddr=127.0.0.1 NodeHostname=localhost Port={port} CPUs=1 "
                 "State=UNKNOWN" for name, port in zip(self.nodes, ports[1:])]
        (place / "slurm.conf").write_text(CONFIGURATION.format(
            controller_port=ports[0], user=getpass.getuser(), place=place,
            largest_array=largest_array, nodes="\n".join(lines)))
        self.environment = os.environ | {"SLURM_CONF": str(place / "slurm.conf")}

    def __enter__(self) -> Cluster:
        munge = self.place / "munge"
        try:
            self.start("munged", "munged", "--foreground", f"--key-file={munge}/munge.key",
                       f"--socket={self.place}/msock/munge.socket", f"--pid-file={munge}/munged.pid",
                       f"--log-file={munge}/munged.log", f"--seed-file={munge}/munged.seed")
            self.wait(lambda: (self.place / "msock/munge.socket").exists(), "munged")
            self.start("slurmctld", "slurmctld", "-D", "-i")
            for node in self.nodes:
                self.start(node, "slurmd", "-D", "-N", node)
            self.wait(lambda: self.say("sinfo", "-h", "-o", "%D %T").split() ==
                      [str(len(self.nodes)), "idle"], "idle nodes")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.say("scancel", "--user", getpass.getuser())
        # Nothing of a scratch Slurm is worth its orderly end, which takes some daemons 20 s.
        send_all(signal.SIGTERM, [daemon.pid for daemon in self.daemons.values()])
        for daemon in reversed(self.daemons.values()):
            try:
                daemon.wait(2)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def start(self, name: str, *command: str) -> None:
        with (self.place / f"log/{name}.out").open("wb") as log:
            self.daemons[name] = subprocess.Popen(command, env=self.environment, stdout=log,
                                                  stderr=subprocess.STDOUT)

    def say(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        return done.stdout

    def wait(self, truth, what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not truth():
            dead = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if time.monotonic() > end or dead:
                logs = "".join(f"\n{log.name}: {log.read_text(errors='replace')[-800:]}"
                               for log in sorted((self.place / "log").iterdir()))
                raise TimeoutError(f"no {what} ({dead} ended){logs}")
            time.sleep(0.1)

    def fail_node(self, node: str, program: str) -> bool:
        """As when its power goes: the daemon, the steps on it and what they run, at once. Leaves the
        node alone, and returns false, when no step on it is running the program."""
        jobs = self.say("squeue", "-h", "-w", node, "-t", "R", "-o", "%A").split()
        processes = [self.daemons[node].pid] + children_of(self.daemons[node].pid)
        processes += [process for process, words in command_lines()  # steps leave their daemon
                      if any(words.startswith(f"slurmstepd: [{job}.") for job in jobs)]
        send_all(signal.SIGSTOP, processes)  # so that none of them begins another
        processes += [child for process in processes for child in children_of(process)]
        send_all(signal.SIGSTOP, processes)
        running = {process for process, words in command_lines() if program in words}
        power_fails = not running.isdisjoint(processes)
        send_all(signal.SIGKILL if power_fails else signal.SIGCONT, processes)
        return power_fails
