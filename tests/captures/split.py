"""Writes the payload of each UDP datagram of a capture as a file: NAME-01.bin and so on.

python3 split.py CAPTURE NAME MOST. Datagrams that are there already are left out.
"""

import struct
import sys

ETHERNET_BYTES = 14
# A longer one was not cut into packets yet when it was seen.
PACKET_BYTES_MAX = 1500


def frames(data):
    """The frames of a pcap file as tcpdump writes it on this machine."""
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at = 24
    while at + 16 <= len(data):
        (length,) = struct.unpack(order + "I", data[at + 8 : at + 12])
        yield data[at + 16 : at + 16 + length]
        at += 16 + length


def payload(frame):
    """What a UDP datagram over IPv4 or IPv6 carries; None for anything else."""
    packet = frame[ETHERNET_BYTES:]
    if len(packet) > PACKET_BYTES_MAX:
        return None
    if frame[12:14] == b"\x08\x00" and packet[9] == 17:
        udp = packet[(packet[0] & 15) * 4 :]
    elif frame[12:14] == b"\x86\xdd" and packet[6] == 17:
        udp = packet[40:]
    else:
        return None
    (length,) = struct.unpack("!H", udp[4:6])
    return udp[8:length]


def main():
    capture, name, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with open(capture, "rb") as file:
        data = file.read()
    found = [p for p in map(payload, frames(data)) if p]
    found = list(dict.fromkeys(found))[:most]
    for number, bytes_ in enumerate(found, 1):
        with open(f"{name}-{number:02}.bin", "wb") as file:
            file.write(bytes_)
    print(f"{name}: {len(found)} datagrams")


main()
