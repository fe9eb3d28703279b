"""Receivers of `rivals.py`, all in one process, and a sender for each broker.

    rivals_receivers.py receivers                     commands on stdin, answers on stdout
    rivals_receivers.py sender BROKER PORT QUIET_S    the event on stdin, who acknowledged it on stdout

The protocols of the brokers are spoken here, so that the cost of no client library is measured.
"""

import asyncio
import contextlib
import json
import re
import sys
import time


# --- The brokers' protocols: subscribe, receive, publish -------------------------------------------------------------------


class Client(asyncio.Protocol):
    """A connection to a broker with one subscription; `ready` is done once the broker has confirmed it."""

    def __init__(self, name, subject, receive):
        self.name, self.subject, self.receive, self.rest = name, subject, receive, b""
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.hello()

    def connection_lost(self, error):
        if not self.ready.done():
            self.ready.set_exception(error or ConnectionError("the broker closed the connection"))

    def data_received(self, data):
        self.rest += data
        while self.rest and self.step():
            pass

    def is_ready(self):
        if not self.ready.done():
            self.ready.set_result(True)


class Nats(Client):
    def hello(self):
        self.transport.write(b'CONNECT {"verbose":false}\r\nSUB %s 1\r\nPING\r\n' % self.subject)

    def step(self):
        line, found, rest = self.rest.partition(b"\r\n")
        if not found:
            return False
        if line.startswith(b"MSG "):
            size = int(line.rsplit(b" ", 1)[1])
            if len(rest) < size + 2:
                return False
            self.rest = rest[size + 2 :]
            self.receive(self, rest[:size])
            return True
        if line == b"PING":
            self.transport.write(b"PONG\r\n")
        elif line == b"PONG":
            self.is_ready()
        self.rest = rest
        return True

    def publish(self, subject, body):
        self.transport.write(b"PUB %s %d\r\n%s\r\n" % (subject, len(body), body))


class Redis(Client):
    """RESP3, in which a subscriber may publish on the same connection."""

    def hello(self):
        self.mark = b"message\r\n$%d\r\n%s\r\n$" % (len(self.subject), self.subject)
        self.transport.write(b"HELLO 3\r\nSUBSCRIBE %s\r\n" % self.subject)

    def step(self):
        if not self.ready.done() and b"subscribe\r\n" in self.rest:
            self.is_ready()
        start = self.rest.find(self.mark)
        if start < 0:
            if self.ready.done():
                self.rest = self.rest[-len(self.mark) :]
            return False
        size, found, rest = self.rest[start + len(self.mark) :].partition(b"\r\n")
        if not found or len(rest) < int(size) + 2:
            return False
        self.rest = rest[int(size) + 2 :]
        self.receive(self, rest[: int(size)])
        return True

    def publish(self, subject, body):
        self.transport.write(b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(subject), subject, len(body), body))


class Mqtt(Client):
    """MQTT 3.1.1. The event is retained and has QoS 1; acknowledgements to the sender have QoS 0."""

    def packet(self, kind, body):
        size, length = len(body), bytearray()
        while True:
            size, low = divmod(size, 128)
            length.append(low | (128 if size else 0))
            if not size:
                break
        self.transport.write(bytes([kind]) + bytes(length) + body)

    def text(self, value):
        return len(value).to_bytes(2, "big") + value

    def hello(self):
        self.packet(0x10, self.text(b"MQTT") + b"\x04\x02\x00\x00" + self.text(self.name))

    def step(self):
        size = shift = 0
        for at, byte in enumerate(self.rest[1:5], start=2):
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        else:
            return False
        if len(self.rest) < at + size:
            return False
        kind, body, self.rest = self.rest[0], self.rest[at : at + size], self.rest[at + size :]
        if kind == 0x20:
            self.packet(0x82, b"\x00\x01" + self.text(self.subject) + b"\x01")
        elif kind == 0x90:
            self.is_ready()
        elif kind & 0xF0 == 0x30:
            payload = 2 + int.from_bytes(body[:2], "big")
            if kind & 0x06:
                self.packet(0x40, body[payload : payload + 2])
                payload += 2
            self.receive(self, body[payload:])
        return True

    def publish(self, subject, body):
        if subject == b"event":
            self.packet(0x33, self.text(subject) + b"\x00\x02" + body)
        else:
            self.packet(0x30, self.text(subject) + body)


PROTOCOLS = {"nats": Nats, "redis": Redis, "mosquitto": Mqtt}


async def sender(kind, port, quiet_s):
    """Publishes the event once connected, and prints who acknowledged it."""
    acknowledged, last = {}, [0.0]

    def receive(_client, body):
        last[0] = time.time()
        acknowledged.setdefault(body.decode(), last[0])

    event, loop = sys.stdin.buffer.read(), asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: PROTOCOLS[kind](b"sender", b"acks", receive), "127.0.0.1", port)
    await client.ready
    last[0] = time.time()
    client.publish(b"event", event)
    while time.time() - last[0] < quiet_s:
        await asyncio.sleep(0.05)
    print(json.dumps(acknowledged))


# --- The receivers ---------------------------------------------------------------------------------------------------------


class Http(asyncio.Protocol):
    def __init__(self, fleet):
        self.fleet, self.rest = fleet, b""

    def connection_made(self, transport):
        self.transport, self.name = transport, transport.get_extra_info("sockname")[0]

    def data_received(self, data):
        self.rest += data
        while True:
            head, found, rest = self.rest.partition(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            size = int(length[1]) if length else 0
            if not found or len(rest) < size:
                return
            self.rest = rest[size:]
            task = json.loads(rest[:size]).get("ecstask")
            is_mine = task is None or task == self.fleet.members[self.name]["task"]
            if is_mine:
                self.fleet.heard(self.name)
            status = b"202 Accepted" if is_mine else b"421 Misdirected Request"
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\n\r\n")


class Receivers:
    def __init__(self, setup):
        self.kind, self.port, self.members = setup["kind"], setup["port"], setup["members"]
        self.expected = sum(member["role"] == "healthy" for member in self.members.values())
        self.reset()

    def reset(self):
        self.times, self.healthy = {}, 0

    def heard(self, name):
        if name in self.times:
            return
        self.times[name] = time.time()
        if self.members[name]["role"] == "healthy":
            self.healthy += 1
            if self.healthy == (self.expected + 1) // 2:
                self.restart = asyncio.ensure_future(self.start("restart"))

    async def start(self, *roles):
        slots = asyncio.Semaphore(128)

        async def one(name):
            async with slots:
                await self.start_one(name)

        await asyncio.gather(*(one(name) for name, member in self.members.items() if member["role"] in roles))

    async def start_one(self, name):
        loop = asyncio.get_running_loop()
        if self.kind == "http":
            with contextlib.suppress(OSError):  # already listening, in the second broadcast
                await loop.create_server(lambda: Http(self), name, self.port)
            return

        def receive(client, _body):
            self.heard(name)
            client.publish(b"acks", name.encode())

        _, client = await loop.create_connection(
            lambda: PROTOCOLS[self.kind](name.encode(), b"event", receive), "127.0.0.1", self.port
        )
        await client.ready


async def receivers():
    """Commands on stdin, one JSON answer each on stdout."""
    lines = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    fleet = Receivers(json.loads(await lines.readline()))
    await fleet.start("healthy", "wrong")
    print("{}", flush=True)
    while command := (await lines.readline()).strip():
        if command == b"late":
            await fleet.start("late")
        if command == b"reset":
            fleet.reset()
        answer = fleet.times if command == b"times" else {"done": fleet.healthy == fleet.expected}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "receivers":
        asyncio.run(receivers())
    else:
        asyncio.run(sender(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
