"""Escapes, tried inside a sandbox: `python3 -c SOURCE NAME FACTS USER`. Each returns what it got, or raises OSError.

Facts about the machine outside come as JSON, as if an attacker knew them all.
"""

import ctypes
import errno
import json
import mmap
import os
import pathlib
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, TypedDict

libc = ctypes.CDLL(None, use_errno=True)


class Facts(TypedDict):
    canary: str
    data_dir: str
    home: str
    secret: str
    tmp_file: str
    root_only: "str | None"
    package: str
    service: int
    victim: int
    disk: tuple[int, int]
    port: int
    abstract: str
    socket: str
    public_socket: str
    other_file: str


def call(name: str, *arguments: Any) -> int:
    result: int = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


def read(path: str) -> str:
    with open(path, "rb") as file:
        return file.read(2000).decode(errors="replace")


def write(path: str) -> str:
    os.close(os.open(path, os.O_WRONLY))
    return f"{path} can be written"


# -- files of the machine


def state_folder(facts: Facts) -> object:
    return os.listdir(facts["data_dir"])


def secret_in_home(facts: Facts) -> object:
    return read(facts["secret"])


def secret_through_symlink(facts: Facts) -> object:
    os.symlink(facts["secret"], "link")
    return read("link")


def secret_through_hard_link(facts: Facts) -> object:
    os.link(facts["secret"], "hard")
    return read("hard")


def secret_through_dots(facts: Facts) -> object:
    return read("../" * 30 + facts["secret"])


def secret_through_proc_root(facts: Facts) -> object:
    return read("/proc/self/root" + facts["secret"])


def secret_through_pid_1(facts: Facts) -> object:
    return read("/proc/1/root" + facts["secret"])


def secret_through_pid_1_cwd(facts: Facts) -> object:
    return read("/proc/1/cwd" + "/.." * 30 + facts["secret"])


def secret_through_service_root(facts: Facts) -> object:
    return read(f"/proc/{facts['service']}/root{facts['secret']}")


def other_sandboxes_file(facts: Facts) -> object:
    return read(facts["other_file"])


def other_sandboxes_folder(facts: Facts) -> object:
    return os.listdir(os.path.dirname(facts["other_file"]))


def homes(facts: Facts) -> object:
    return [name for name in os.listdir("/home") if name != "user"] or os.listdir("/root")[5:]


def cloud_credentials(facts: Facts) -> object:
    return [*os.listdir(os.path.join(facts["home"], ".ssh")), read(os.path.join(facts["home"], ".aws"))]


def run_folder(facts: Facts) -> object:
    return [name for name in os.listdir("/run") if name != "lock"]


def docker_socket(facts: Facts) -> object:
    return [path for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/containerd") if os.path.exists(path)]


def host_tmp(facts: Facts) -> object:
    return read(facts["tmp_file"])


def password_hashes(facts: Facts) -> object:
    return [line for line in read("/etc/shadow").splitlines() if line.split(":")[1][:1] in ("$", "")]


def password_hashes_backup(facts: Facts) -> object:
    return read("/etc/shadow-")


def private_keys(facts: Facts) -> object:
    names = "-name '*_key' -o -name '*.key' -o -path '*/private/*'"
    find = f"find /etc /var /opt /srv \\( {names} \\) -type f -size +0 -readable"
    return subprocess.run(find, shell=True, capture_output=True, text=True).stdout.split()


def file_only_root_may_read(facts: Facts) -> object:
    return read(facts["root_only"]) if facts["root_only"] else []


def write_machine_program(facts: Facts) -> object:
    with open("/usr/bin/planted-by-devbox", "w") as file:
        file.write("x")
    time.sleep(0.05)
    return []  # whether the machine has it is looked up outside


def mode_of_secret(facts: Facts) -> object:
    os.chmod(facts["secret"], 0o644)  # the mode that it has
    return "may be changed"


def times_of_secret(facts: Facts) -> object:
    os.utime(facts["secret"])
    return "changed"


def owner_of_secret(facts: Facts) -> object:
    os.chown(facts["secret"], os.stat(facts["secret"]).st_uid, -1)
    return "may be changed"


def attribute_of_secret(facts: Facts) -> object:
    os.setxattr(facts["secret"], "user.planted", b"x")
    return "planted"


def existence_of_secret(facts: Facts) -> object:
    return os.path.exists(facts["secret"])


def private_unix_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(facts["socket"])
    return "connected"


def public_unix_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(facts["public_socket"])
    return "connected"


def set_id_bits(facts: Facts) -> object:
    """Ways to a file that makes its owner of whoever starts it; those that a filter cannot see are not there."""
    os.close(os.open("plain", os.O_CREAT | os.O_WRONLY))
    ways: dict[str, Callable[[], object]] = {
        "chmod": lambda: os.chmod("plain", 0o4755),
        "set-gid": lambda: os.chmod("plain", 0o2755),
        "fchmod": lambda: os.fchmod(os.open("plain", os.O_RDONLY), 0o6755),
        "open": lambda: os.close(os.open("new", os.O_CREAT | os.O_WRONLY, 0o4755)),
        "mknod": lambda: os.mknod("node", 0o104755),
        "openat2": lambda: syscall(437, 437, -100, b"more", struct.pack("QQQ", 0o101, 0o4755, 0), 24),
        "fchmodat2": lambda: syscall(452, 452, -100, b"plain", 0o4755, 0),
    }
    for way in ways.values():
        try:
            way()
        except OSError:
            continue
    return [name for name in os.listdir(".") if os.stat(name).st_mode & 0o6000]


def change_device_node(facts: Facts) -> object:
    os.chmod("/dev/null", 0o666)  # the mode that it has, which takes the right to change it
    return "may be changed"


def write_secret(facts: Facts) -> object:
    return write(facts["secret"])


def plant_code_of_the_service(facts: Facts) -> object:
    with open(os.path.join(facts["package"], "planted.py"), "w") as file:
        file.write("x")
    return "planted"


def handle_of_root_inode(facts: Facts) -> object:
    for folder in ("/etc", os.path.expanduser("~")):
        for inode in (2, 128, 256):
            handle = ctypes.create_string_buffer(struct.pack("IiII", 8, 1, inode, 0), 64)
            fd = os.open(folder, os.O_RDONLY)
            result = libc.syscall(304 if os.uname().machine == "x86_64" else 265, fd, handle, os.O_RDONLY)
            if result >= 0:
                return os.listdir(result)
    raise OSError(ctypes.get_errno(), "open_by_handle_at")


def inherited_descriptors(facts: Facts) -> object:
    links = {
        fd: os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    }
    return [link for fd, link in links.items() if int(fd) > 2]


def inherited_environment(facts: Facts) -> object:
    return [name for name, value in os.environ.items() if facts["canary"] in value]


def paths_in_mounts(facts: Facts) -> object:
    text = pathlib.Path("/proc/self/mountinfo").read_text()
    return [line for line in text.splitlines() if facts["data_dir"] in line]


def paths_in_command_lines(facts: Facts) -> object:
    others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    found = [read(f"/proc/{pid}/cmdline") for pid in others]
    return [line for line in found if facts["data_dir"] in line or facts["package"] in line]


# -- processes of the machine


def see_processes(facts: Facts) -> object:
    seen = []
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                seen += [pid] if facts["canary"] in read(f"/proc/{pid}/cmdline") else []
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
    return seen


def signal_service(facts: Facts) -> object:
    os.kill(facts["victim"], 0)
    return "can be signalled"


def kill_everything(facts: Facts) -> object:
    if not os.fork():
        os.setsid()
        os.kill(-1, signal.SIGCONT)
        os._exit(0)
    os.wait()
    return []  # whether the victim got it is looked up outside


def limits_of_the_service(facts: Facts) -> object:
    return resource.prlimit(facts["victim"], resource.RLIMIT_NOFILE, resource.prlimit(0, resource.RLIMIT_NOFILE))


def priority_of_the_service(facts: Facts) -> object:
    os.setpriority(os.PRIO_PROCESS, facts["victim"], 1)
    return "changed"


def processors_of_the_service(facts: Facts) -> object:
    os.sched_setaffinity(facts["victim"], os.sched_getaffinity(0))
    return "changed"


def scheduling_of_the_service(facts: Facts) -> object:
    os.sched_setscheduler(facts["victim"], os.SCHED_OTHER, os.sched_param(0))
    return "changed"


def environment_of_the_service(facts: Facts) -> object:
    return read(f"/proc/{facts['victim']}/environ")


def environment_of_pid_1(facts: Facts) -> object:
    return read("/proc/1/environ")


def memory_of_pid_1(facts: Facts) -> object:
    return write("/proc/1/mem")


def descriptors_of_pid_1(facts: Facts) -> object:
    return [os.readlink(f"/proc/1/fd/{fd}") for fd in os.listdir("/proc/1/fd")]


def program_of_pid_1(facts: Facts) -> object:
    return os.readlink("/proc/1/exe")


def mounts_of_pid_1(facts: Facts) -> object:
    return os.readlink("/proc/1/ns/mnt")


def trace_pid_1(facts: Facts) -> object:
    call("ptrace", 16, 1, None, None)
    return "attached"


def trace_the_service(facts: Facts) -> object:
    call("ptrace", 16, facts["victim"], None, None)
    return "attached"


def take_descriptors_of_pid_1(facts: Facts) -> object:
    pidfd = os.pidfd_open(1)
    return [fd for fd in range(10) if libc.syscall(438, pidfd, fd, 0) >= 0]


def kill_pid_1(facts: Facts) -> object:
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGTERM)
    return []  # being here means it lives: the sandbox would have ended


# -- the kernel


def block_device(facts: Facts) -> object:
    os.mknod("block", 0o60600, os.makedev(*facts["disk"]))
    return read("block")


def mount_disk(facts: Facts) -> object:
    os.mknod("disk", 0o60600, os.makedev(*facts["disk"]))
    call("mount", b"disk", b"/mnt", b"ext4", 1, None)
    return "mounted"


def mount_kernel_file_systems(facts: Facts) -> object:
    kinds = (b"sysfs", b"cgroup", b"cgroup2", b"debugfs", b"tracefs", b"securityfs", b"bpf", b"devtmpfs")
    mounted = [
        kind for kind in kinds if libc.mount(b"x", b"/mnt", kind, 0, b"memory" if kind == b"cgroup" else None) == 0
    ]
    return [kind.decode() for kind in mounted]


def remount_root(facts: Facts) -> object:
    call("umount2", b"/proc", 2)
    return os.listdir("/proc")


def undo_masks_in_own_namespace(facts: Facts) -> object:
    unshared = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", "umount /proc/keys || umount -l /usr || umount -l /proc"], capture_output=True
    )
    return "unmounted" if unshared.returncode == 0 else []


def change_settings(facts: Facts) -> object:
    names = (
        "kernel/core_pattern",
        "kernel/modprobe",
        "vm/drop_caches",
        "kernel/hostname",
        "fs/file-max",
        "kernel/sysrq",
    )
    open_ones = []
    for name in names:
        try:
            open_ones.append(write(f"/proc/sys/{name}"))
        except OSError:
            continue
    return [line for line in open_ones if "hostname" not in line]


def sysrq(facts: Facts) -> object:
    return write("/proc/sysrq-trigger") if "null" not in _node("/proc/sysrq-trigger") else []


def kernel_memory(facts: Facts) -> object:
    found = []
    for path in ("/proc/kcore", "/dev/mem", "/dev/kmem", "/proc/kmsg", "/dev/kmsg"):
        try:
            found += [path] if read(path) else []
        except OSError:
            continue
    return found


def _node(path: str) -> str:
    status = os.stat(path)
    return "null" if (os.major(status.st_rdev), os.minor(status.st_rdev)) == (1, 3) else ""


def kernel_addresses(facts: Facts) -> object:
    return [line for line in read("/proc/kallsyms").splitlines() if line.split()[0].strip("0")][:1]


def kernel_keys(facts: Facts) -> object:
    return read("/proc/keys")


def load_module(facts: Facts) -> object:
    call("syscall", 175 if os.uname().machine == "x86_64" else 105, b"", 0, b"")
    return "loaded"


def reboot(facts: Facts) -> object:
    call("reboot", 0)  # turns Ctrl-Alt-Del off, which needs the same right as a restart
    return "may reboot"


def set_clock(facts: Facts) -> object:
    now = time.clock_gettime(time.CLOCK_REALTIME)
    time.clock_settime(time.CLOCK_REALTIME, now)
    return "may set the clock"


def raise_own_priority(facts: Facts) -> object:
    os.nice(-10)
    return "raised"


def syscall(x86_64: int, generic: int, *arguments: Any) -> int:
    return call("syscall", x86_64 if os.uname().machine == "x86_64" else generic, *arguments)


def user_keyring(facts: Facts) -> object:
    return syscall(250, 219, 0, -4, 1)  # KEYCTL_GET_KEYRING_ID


def add_key(facts: Facts) -> object:
    return syscall(248, 217, b"user", b"canary", b"x", 1, -2)


def user_namespace(facts: Facts) -> object:
    call("unshare", 0x10000000)
    return "own user namespace"


def mounts_in_own_namespace(facts: Facts) -> object:
    call("unshare", 0x10020000)
    call("mount", b"x", b"/tmp", b"tmpfs", 0, None)
    return "mounted"


def network_in_own_namespace(facts: Facts) -> object:
    call("unshare", 0x50000000)
    return "own network"


def child_in_own_namespace(facts: Facts) -> object:
    pid = syscall(56, 220, 0x10000011, 0, 0, 0, 0)
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return "child in its own user namespace"


def namespaces_of_pid_1(facts: Facts) -> object:
    entered = []
    for name in ("user", "mnt", "net", "pid"):
        try:
            call("setns", os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0)
            entered.append(name)
        except OSError:
            continue
    try:
        call("setns", os.pidfd_open(1), 0x10000000)
        entered.append("user through a pidfd")
    except OSError:
        pass
    return entered


def user_fault_handler(facts: Facts) -> object:
    return syscall(323, 282, 1)


def io_uring(facts: Facts) -> object:
    return syscall(425, 425, 4, ctypes.create_string_buffer(120))


def secret_memory(facts: Facts) -> object:
    return syscall(447, 447, 0)


def compare_processes(facts: Facts) -> object:
    syscall(312, 272, os.getpid(), os.getpid(), 0, 0, 0)
    return "compared"


def own_descriptor_through_pidfd(facts: Facts) -> object:
    return syscall(438, 438, os.pidfd_open(os.getpid()), 0, 0)


RARE_FAMILIES = (40, 38, 29, 30, 31)  # vsock, algorithms, CAN, TIPC, Bluetooth; Python may have no names for them


def rare_sockets(facts: Facts) -> object:
    found = []
    for family in RARE_FAMILIES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW, socket.SOCK_DGRAM):
            try:
                socket.socket(family, kind).close()
            except OSError:
                continue
            found.append(family)
    return found


def rare_socket_pairs(facts: Facts) -> object:
    """Where a family has none the kernel says so only once it has loaded the family's module, and made a socket."""
    found = []
    for family in RARE_FAMILIES:
        for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW, socket.SOCK_DGRAM):
            try:
                socket.socketpair(family, kind)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT:
                    continue
            found.append(family)
    return found


def keyring_as_x32(facts: Facts) -> object:
    return syscall(0x40000000 | 250, 0x40000000 | 219, 0, -4, 1)


def socket_as_32_bit(facts: Facts) -> object:
    """By the call whose arguments are in memory, so that a filter cannot tell this family from any other."""
    if os.uname().machine != "x86_64":
        return []
    pid = os.fork()
    if not pid:  # a kernel without such calls ends the process
        code = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40, prot=7)  # MAP_32BIT
        place = ctypes.addressof(ctypes.c_char.from_buffer(code))
        # push rbx; eax = 102, ebx = 1, ecx = the arguments; int 0x80; pop rbx; ret
        program = b"\x53\xb8\x66\0\0\0\xbb\1\0\0\0\xb9" + struct.pack("I", place + 64) + b"\xcd\x80\x5b\xc3"
        code.write(program.ljust(64, b"\0") + struct.pack("3I", socket.AF_UNIX, socket.SOCK_STREAM, 0))
        os._exit(0 if ctypes.CFUNCTYPE(ctypes.c_int)(place)() >= 0 else 1)
    return ["made a socket"] if os.waitpid(pid, 0)[1] == 0 else []


KEYRING_AS_32_BIT = (  # push rbx; eax = 288, ebx = 0, ecx = -4, edx = 1; int 0x80; pop rbx; ret
    b"\x53\xb8\x20\x01\x00\x00\x31\xdb\xb9\xfc\xff\xff\xff\xba\x01\x00\x00\x00\xcd\x80\x5b\xc3"
)


def keyring_as_32_bit(facts: Facts) -> object:
    if os.uname().machine != "x86_64":
        return []
    pid = os.fork()
    if not pid:  # a kernel without such calls ends the process
        code = mmap.mmap(-1, 4096, prot=7)
        code.write(KEYRING_AS_32_BIT)
        run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        os._exit(0 if run() >= 0 else 1)
    return ["has a keyring"] if os.waitpid(pid, 0)[1] == 0 else []


# -- the machine's network


def loopback(facts: Facts) -> object:
    socket.create_connection(("127.0.0.1", facts["port"]), 2).close()
    return "connected"


def abstract_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + facts["abstract"])
    return "connected"


def interfaces(facts: Facts) -> object:
    return [
        name
        for _, name in socket.if_nameindex()
        if name
        not in ("lo", "tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0")
    ]


def raw_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as raw:
        raw.bind(("eth0", 0))
    return "bound"


if __name__ == "__main__":
    attempt, given = globals()[sys.argv[1]], json.loads(sys.argv[2])
    folder = f"{attempt.__name__}-{sys.argv[3]}"
    os.mkdir(folder)
    os.chdir(folder)
    try:
        got = attempt(given)
    except OSError as error:
        sys.stdout.write(f"held: {error}")
    except subprocess.SubprocessError as error:
        sys.stdout.write(f"held: {error}")
    else:
        sys.stdout.write(f"escaped: {got}" if got else "held: nothing")
