"""The smallest server that can be made with fbtftp: files of one directory.

usage: fbtftp_server.py PORT DIRECTORY
"""

import os
import sys

from fbtftp.base_handler import BaseHandler, ResponseData
from fbtftp.base_server import BaseServer

TIMEOUT_SECONDS = 2
RETRIES_MAX = 6


class File(ResponseData):
    def __init__(self, path):
        self.file = open(path, "rb")
        self.length = os.fstat(self.file.fileno()).st_size

    def read(self, count):
        return self.file.read(count)

    def size(self):
        return self.length

    def close(self):
        self.file.close()


class Handler(BaseHandler):
    def get_response_data(self):
        return File(os.path.join(sys.argv[2], os.path.basename(self._path)))


class Server(BaseServer):
    def get_handler(self, server_addr, peer, path, options):
        return Handler(server_addr, peer, path, options, lambda statistics: None)


Server("127.0.0.1", int(sys.argv[1]), RETRIES_MAX, TIMEOUT_SECONDS).run()
