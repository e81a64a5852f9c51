"""A name server with one address for every name, and no other records. usage: name_server.py ADDRESS"""

import socket
import struct
import sys

TTL = 3600
ADDRESS = socket.inet_aton("192.0.2.1")
SOA = b"\0\0" + struct.pack("!5I", 1, TTL, TTL, TTL, TTL)


def answer(query):
    """The question, and an address or, for what there isn't, the record that says for how long that stays so."""
    end = 12
    while query[end] != 0:
        end += 1 + query[end]
    question = query[12:end + 5]
    (kind,) = struct.unpack("!H", question[-4:-2])
    record, data = (1, ADDRESS) if kind == 1 else (6, SOA)
    counts = (1, 1, 0, 0) if kind == 1 else (1, 0, 1, 0)
    header = query[:2] + struct.pack("!5H", 0x8580, *counts)
    return header + question + b"\xc0\x0c" + struct.pack("!HHIH", record, 1, TTL, len(data)) + data


def main(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        while True:
            query, client = server.recvfrom(4096)
            try:
                server.sendto(answer(query), client)
            except (IndexError, struct.error):
                pass  # not a query


if __name__ == "__main__":
    main(sys.argv[1])
