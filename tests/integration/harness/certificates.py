# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for a server and a client, by an authority of our own."""

import subprocess
from pathlib import Path


class Authority:
    """ca.pem, and what issue() makes, in `directory`."""

    def __init__(self, directory, name="authority"):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self.directory / "ca.pem"
        self._key = self.directory / "ca-key.pem"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                      "-keyout", self._key, "-out", self.certificate, "-subj", f"/CN={name}")

    def issue(self, name, alternative=None):
        """The files (certificate, key) for `name`; `alternative` is such as IP:127.0.0.1."""
        certificate, key = self.directory / f"{name}.pem", self.directory / f"{name}-key.pem"
        request, extensions = self.directory / "request", self.directory / "extensions"
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request,
                      "-subj", f"/CN={name}")
        extensions.write_text(f"subjectAltName={alternative}\n" if alternative else "\n")
        self._openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
                      "-CAcreateserial", "-days", "2", "-out", certificate,
                      "-extfile", extensions)
        return certificate, key

    @staticmethod
    def _openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
