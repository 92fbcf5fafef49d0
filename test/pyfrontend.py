#!/usr/bin/env python3
"""A frontend of HCL, written from doc/protocol.md alone: if it works, the text
suffices. It shares no code with the project. Linux on x86-64, as root.

usage: pyfrontend.py NAME BYTES [TIMEOUT_SECONDS]

READs BYTES bytes of the device NAME: the first half of them, at most 48,
inline, the others through the rx pool. Numbers in comments are sections. It
lives too short for 2.7: do not save the guest while it runs.
"""
import _thread
import errno
import fcntl
import mmap
import os
import select
import struct
import sys
import time

# _IOC(_IOC_NONE, type, number, sizeof(struct)); the sizes are those of x86-64,
# where a struct with a uint64_t is padded to a multiple of 8.
GNTALLOC_ALLOC = 24 << 16 | ord("G") << 8 | 5
GNTALLOC_DEALLOC = 16 << 16 | ord("G") << 8 | 6
GNTALLOC_NOTIFY = 16 << 16 | ord("G") << 8 | 7
EVTCHN_BIND_UNBOUND = 4 << 16 | ord("E") << 8 | 2
EVTCHN_UNBIND = 4 << 16 | ord("E") << 8 | 3
EVTCHN_NOTIFY = 4 << 16 | ord("E") << 8 | 4
CLEAR_BYTE, SEND_EVENT = 1, 2

XS_DIRECTORY, XS_READ, XS_WATCH, XS_START, XS_END = 1, 2, 4, 6, 7
XS_WRITE, XS_EVENT, XS_ERROR = 11, 15, 16

PAGE, SLOTS, SLOT, WRAP = 4096, 64, 64, 0xffffffff
CONTROL = struct.Struct("<IIQQIHBBII24x")               # 3.1, up to refs[]
REQUEST = struct.Struct("<IHBBQIIII28x")                # 3.3, up to sequence
COMPLETION = struct.Struct("<IHHI48s")
MAGIC, VERSION = 0x314c4348, 1
OPEN, CLOSE, READ, RX_POOL, INLINE = 1, 2, 3, 0x02, 48
STATUS = ("OK", "INVALID", "UNSUPPORTED", "BAD_HANDLE", "BUSY", "DENIED",
          "LIMIT", "IO", "GONE", "CANCELLED", "TIMEOUT")
IO = 7

# Own pages in order of their grants: control, front, requests, tx pool; and
# writable: back, completions, rx pool.
FRONT, REQUESTS, TX = PAGE, 2 * PAGE, 3 * PAGE
BACK, COMPLETIONS, RX = 0, PAGE, 2 * PAGE
EVENT = 64                              # queue 0's event.position in its page

# 2.4, the frontend's table; the last column is "other".
TABLE = {state: row.split() for state, row in {
    1: "gone wait    publish wait    wait    wait    refused fault",
    3: "gone restart wait    wait    connect restart refused fault",
    4: "gone restart restart restart wait    restart refused fault",
    5: "release release release release wait wait    release release",
}.items()}
OTHER = 7
GRACE = 5                               # seconds for the backend to unmap


class End(Exception):
    """The end of a connection: whether to close it in order (5, wait), and the
    state to write when everything is free; state 1 is a restart."""

    def __init__(self, text, close=False, state=6):
        super().__init__(text)
        self.close, self.state = close, state


class Late(End):
    pass


def fence(lock=_thread.allocate_lock()):
    """A full fence. x86 keeps the order of loads and that of stores, so plain
    stores and loads of aligned 32-bit words release and acquire; but a load
    may overtake an older store. Taking a lock is a locked instruction."""
    with lock:
        pass


def hexadecimal(text):
    if text is None or len(text) != 16 or text.strip("0123456789abcdefABCDEF"):
        return None
    return int(text, 16)


def decimal(text, low, high, default=None):
    """A number out of xenstore, or None if it is none or out of bounds."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        return None
    return int(text) if low <= int(text) <= high else None


class Xenstore:
    def __init__(self):
        self.fd = os.open("/dev/xen/xenbus", os.O_RDWR | os.O_CLOEXEC)
        self.fired = False

    def take(self, length):
        data = b""
        while len(data) < length:
            part = os.read(self.fd, length - len(data))
            if not part:
                raise OSError(errno.EIO, "xenstore has ended")
            data += part
        return data

    def message(self):
        kind, _, _, length = struct.unpack("=4I", self.take(16))
        return kind, self.take(length)

    def call(self, kind, body, tx=0):
        body = body.encode()
        os.write(self.fd, struct.pack("=4I", kind, 0, tx, len(body)) + body)
        while True:
            got, answer = self.message()
            if got == XS_EVENT:
                self.fired = True
                continue
            answer = answer.decode(errors="replace")
            if got == XS_ERROR:
                name = answer.rstrip("\0")
                raise OSError(getattr(errno, name, errno.EIO),
                              "xenstore: %s for %r" % (name, body))
            return answer

    def read(self, path, tx=0, kind=XS_READ):
        """None if it is missing: a guest that may not read the parent sees
        EACCES instead of ENOENT once a directory is removed."""
        try:
            return self.call(kind, path + "\0", tx)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EACCES):
                return None
            raise

    def transact(self, work):
        """work(tx), again until nobody came between; what it read is only
        sure to belong together when the commit succeeds."""
        while True:
            tx = int(self.call(XS_START, "\0").rstrip("\0"))
            try:
                result = work(tx)
            except BaseException:
                self.call(XS_END, "F\0", tx)
                raise
            try:
                self.call(XS_END, "T\0", tx)
                return result
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    raise

    def wait(self, seconds, *others):
        """Sleeps; says whether a watch has fired."""
        if not self.fired:
            select.select([self.fd, *others], [], [], seconds)
        fired, self.fired = self.fired, False
        while select.select([self.fd], [], [], 0)[0]:
            self.message()
            fired = True
        return fired


class Pages:
    """Pages granted to a domain, and mapped here."""

    def __init__(self, fd, domid, count, writable):
        self.fd, self.count = fd, count
        asked = bytearray(max(24, 16 + 4 * count))
        struct.pack_into("=HHI", asked, 0, domid, writable, count)
        fcntl.ioctl(fd, GNTALLOC_ALLOC, asked)
        self.index, *self.refs = struct.unpack_from("=Q%dI" % count, asked, 8)
        self.map = mmap.mmap(fd, count * PAGE, offset=self.index)
        self.words = memoryview(self.map).cast("I")

    def load(self, offset):
        return self.words[offset // 4]

    def store(self, offset, value):
        self.words[offset // 4] = value

    def release(self):
        self.words.release()
        self.map.close()
        fcntl.ioctl(self.fd, GNTALLOC_DEALLOC,
                    struct.pack("=QI4x", self.index, self.count))


class Connection:
    """The memory and the event channel of section 3: one queue, order 0."""

    def __init__(self, domid, pool):
        self.pool = pool                # pages of each pool
        self.produced = self.consumed = 0
        self.grants = os.open("/dev/xen/gntalloc", os.O_RDWR | os.O_CLOEXEC)
        self.events = os.open("/dev/xen/evtchn",
                              os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self.own = Pages(self.grants, domid, TX // PAGE + pool, 0)
        self.shared = Pages(self.grants, domid, RX // PAGE + pool, 1)
        self.port = fcntl.ioctl(self.events, EVTCHN_BIND_UNBOUND,
                                bytearray(struct.pack("=I", domid)))

    def describe(self, generation, incarnation):
        """Fills the control page; returns its reference."""
        control, *refs = self.own.refs + self.shared.refs
        page = CONTROL.pack(MAGIC, VERSION, generation, incarnation, 0, 1, 0, 0,
                            self.pool, self.pool)
        page += struct.pack("<%dI" % len(refs), *refs)
        self.own.map[0:len(page)] = page
        self.own.map[FRONT] = 1         # alive, till this process ends
        fcntl.ioctl(self.grants, GNTALLOC_NOTIFY, struct.pack(
            "=QII", self.own.index + FRONT, CLEAR_BYTE | SEND_EVENT, self.port))
        return control

    def put(self, tag, handle, opcode, flags, rx_bytes):
        old, new = self.produced, self.produced + 1 & WRAP
        at = REQUESTS + old % SLOTS * SLOT
        self.own.map[at:at + 60] = REQUEST.pack(tag, handle, opcode, flags, 0,
                                                0, 0, rx_bytes, 0)
        self.own.store(at + 60, new)
        self.produced = new
        fence()
        event = self.shared.load(BACK + EVENT)
        if (new - event - 1) & WRAP < (new - old) & WRAP:
            fcntl.ioctl(self.events, EVTCHN_NOTIFY,
                        struct.pack("=I", self.port))

    def get(self):
        """The next completion, copied once, or None."""
        position, new = self.consumed, self.consumed + 1 & WRAP
        at = COMPLETIONS + position % SLOTS * SLOT
        sequence = self.shared.load(at + 60)
        if sequence == new:
            self.consumed = new
            return COMPLETION.unpack(self.shared.map[at:at + 60])
        if (sequence == (new - SLOTS) & WRAP
                or sequence == 0 and position < SLOTS):
            return None
        raise End("fault: sequence %d at %d" % (sequence, position), close=True)

    def arm(self):
        """Asks for an event, and looks once more."""
        self.own.store(FRONT + EVENT, self.consumed)
        fence()
        return self.get()

    def drain(self):
        try:
            os.write(self.events, os.read(self.events, 64))     # and unmask
        except BlockingIOError:
            pass

    def release(self):
        self.own.release()
        self.shared.release()
        fcntl.ioctl(self.events, EVTCHN_UNBIND, struct.pack("=I", self.port))
        os.close(self.events)
        os.close(self.grants)


class Frontend:
    def __init__(self, xs, name, deadline):
        self.xs, self.deadline = xs, deadline
        self.state, self.link = 1, None
        self.generation = self.incarnation = None
        # A path that does not begin with / is below the guest's own.
        names = xs.read("device/hcl", kind=XS_DIRECTORY) or ""
        for devid in names.split("\0"):
            self.own = "device/hcl/" + devid
            if devid and xs.read(self.own + "/device") == name:
                break
        else:
            raise End("no attachment of %r" % name)
        self.backend = xs.read(self.own + "/backend")
        self.peer = decimal(xs.read(self.own + "/backend-id"), 0, 0x7fef)
        if not self.backend or self.peer is None:
            raise End("%s: backend or backend-id is wrong" % self.own)
        xs.call(XS_WATCH, self.backend + "\0hcl\0")

    def left(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Late("no answer in time in state %d" % self.state, close=True)
        return left

    def sleep(self, *others):
        """At most a second, since nobody says when `alive` becomes 0."""
        return self.xs.wait(min(1, self.left()), *others)

    def look(self, *names):
        return self.xs.transact(lambda tx: [
            self.xs.read("%s/%s" % (self.backend, name), tx) for name in names])

    def effective(self):
        """2.2: the backend's state, if it speaks about the present lives."""
        state, generation, incarnation = self.look(
            "state", "generation", "incarnation")
        if state is None:
            return 0
        state = decimal(state, 0, 6)
        if self.link and hexadecimal(generation) != self.generation:
            return 1
        if (state in (4, 6) and incarnation is not None
                and hexadecimal(incarnation) != self.incarnation):
            return 1
        return OTHER if state is None else state

    def action(self):
        return TABLE[self.state][self.effective()]

    def check(self, wanted=None):
        """Whether the table says wanted; any other action ends all."""
        action = self.action()
        if action in ("wait", wanted):
            return action == wanted
        why = ascii(self.xs.read(self.backend + "/error") or "")
        raise End("%s in state %d: %s" % (action, self.state, why),
                  state=1 if action == "restart" else 6)

    def until(self, wanted):
        while not self.check(wanted):
            self.sleep()

    def set_state(self, state, **nodes):
        """In one transaction, and never into a directory that is gone."""
        def work(tx):
            if self.xs.read(self.own + "/state", tx) is not None:
                for node, value in {**nodes, "state": state}.items():
                    path = "%s/%s" % (self.own, node.replace("_", "-"))
                    self.xs.call(XS_WRITE, "%s\0%s" % (path, value), tx)
        self.xs.transact(work)
        self.state = state

    def publish(self):
        versions, kind, generation, queues, order, pool, handles = self.look(
            "versions", "class", "generation", "max-queues",
            "max-ring-page-order", "max-pool-pages", "max-handles")
        generation = hexadecimal(generation)
        pool = decimal(pool, 0, WRAP, 0)
        if (not kind or not generation or pool is None
                or decimal(queues, 1, 8, 1) is None
                or decimal(order, 0, 6, 0) is None
                or decimal(handles, 1, 65535, 1) is None):
            raise End("fault: the backend's nodes are wrong")
        if str(VERSION) not in (versions or "").split(","):
            raise End("no common version: %a" % versions)
        if pool < 2:
            raise End("the backend allows %d pool pages, need 2" % pool)
        self.link = Connection(self.peer, min(2, pool // 2))
        self.generation = generation
        self.incarnation = int.from_bytes(os.urandom(8), "little") or 1
        reference = self.link.describe(generation, self.incarnation)
        self.set_state(3, version=VERSION, control_ref=reference,
                       event_channel_0=self.link.port,
                       generation="%016x" % generation,
                       incarnation="%016x" % self.incarnation)

    def connect(self):
        self.set_state(1)
        self.until("publish")
        self.publish()
        self.until("connect")
        self.set_state(4)

    def completion(self):
        while True:
            found = self.link.get() or self.link.arm()
            if found:
                return found
            alive = self.link.shared.map[BACK]
            if self.sleep(self.link.events) or not alive:
                self.check()
            if not alive:
                raise End("the backend has died", state=1)
            self.link.drain()

    def request(self, opcode, rx_bytes=0, flags=0):
        """One request, on handle 0, and its answer. It is the only one in
        flight, so its completion must be the next."""
        tag = self.link.produced % SLOTS
        self.link.put(tag, 0, opcode, flags, rx_bytes)
        got, status, _, length, data = self.completion()
        if got != tag:
            raise End("fault: tag %d not in flight" % got, close=True)
        most = INLINE if status else rx_bytes           # 3.3: a text of 48
        if length > most:
            raise End("fault: %d octets, at most %d" % (length, most),
                      close=True)
        status = status if status < len(STATUS) else IO
        if status:
            why = data[:length].decode(errors="replace")
            raise End("opcode %d: %s %s" % (opcode, STATUS[status],
                                            ascii(why)), close=True)
        if flags & RX_POOL:
            return self.link.shared.map[RX:RX + length]
        return data[:length]

    def collect(self, count):
        """All of count by READ, in both ways."""
        data, inline = b"", min(INLINE, (count + 1) // 2)
        self.request(OPEN)
        while len(data) < count:
            if len(data) < inline:
                part = self.request(READ, inline - len(data))
            else:
                room = min(count - len(data), self.link.pool * PAGE)
                part = self.request(READ, room, RX_POOL)
            if not part:
                raise End("the device has ended after %d bytes" % len(data),
                          close=True)
            data += part
        self.request(CLOSE)
        return data

    def close(self):
        """To 5, and time for the backend to unmap; its pages stay busy in
        this kernel else."""
        if self.state not in (3, 4) or not self.link:
            return
        self.set_state(5)
        self.deadline = time.monotonic() + GRACE
        try:
            while self.action() == "wait":
                self.sleep()
        except Late:
            print("pyfrontend: the backend does not unmap", file=sys.stderr)

    def leave(self, state):
        """Frees everything, then tells."""
        if self.link:
            self.link.release()
        self.link = self.generation = self.incarnation = None
        self.set_state(state)


def run(name, count, deadline):
    front = Frontend(Xenstore(), name, deadline)
    while True:
        try:
            front.connect()
            data = front.collect(count)
            front.close()
            front.leave(6)
            return data
        except End as end:
            if end.close:
                front.close()
            front.leave(end.state)
            if end.state != 1:
                raise
            print("pyfrontend: again: %s" % end, file=sys.stderr)
        except BaseException:
            front.close()
            front.leave(6)
            raise


def main(arguments):
    try:
        name, count, seconds = (*arguments, "20")[:3]
        count, seconds = int(count), float(seconds)
        if count < 1 or len(arguments) > 3:
            raise ValueError
    except ValueError:
        print("usage: pyfrontend.py NAME BYTES [TIMEOUT_SECONDS]",
              file=sys.stderr)
        return 2
    try:
        data = run(name, count, time.monotonic() + seconds)
    except (End, OSError) as error:
        print("pyfrontend: %s" % error, file=sys.stderr)
        return 1
    print("ok: %d bytes: %s" % (len(data), data[:8].hex()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
