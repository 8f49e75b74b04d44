#!/usr/bin/env python3
# The official tool is in a jar that is not locked here: this one asks the broker the same question (ApiVersions, v0).
import socket
import struct
import sys

host, port = sys.argv[2].split(":")
with socket.create_connection((host, int(port)), timeout=5) as broker:
    broker.settimeout(5)
    broker.sendall(struct.pack(">ihhih", 10, 18, 0, 1, -1))
    sys.exit(len(broker.recv(8)) != 8)
