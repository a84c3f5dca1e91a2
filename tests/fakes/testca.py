#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A certificate authority and one server certificate, for tests only.

Owns: ca.pem, ca.key, server.pem (leaf, then CA) and server.key in a folder of the test's own.
Why: the gateway verifies its upstream, so a test needs a CA to trust and one not to trust.
Must never: be used outside tests: the keys lie on disk and last two days.

Use: testca.py FOLDER [NAME ...]      (default names: localhost 127.0.0.1)
or   make(folder, names, days) -> folder; a negative `days` makes a certificate that has expired.
"""
import datetime
import ipaddress
import os
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def general_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def builder(subject, issuer, public_key, days):
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named(issuer))
            .public_key(public_key).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=abs(days) + 1))
            .not_valid_after(now + datetime.timedelta(days=days)))


def write(path, data):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(data)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def usage(signs):
    return x509.KeyUsage(digital_signature=True, content_commitment=False, key_encipherment=False,
                         data_encipherment=False, key_agreement=False, key_cert_sign=signs,
                         crl_sign=signs, encipher_only=False, decipher_only=False)


def make(folder, names=("localhost", "127.0.0.1"), days=2):
    os.makedirs(folder, exist_ok=True)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (builder("Chela test CA", "Chela test CA", ca_key.public_key(), 2)
          .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
          .add_extension(usage(True), critical=True)
          .add_extension(ca_id, critical=False)
          .sign(ca_key, hashes.SHA256()))
    leaf = (builder(names[0], "Chela test CA", key.public_key(), days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
                           critical=False)
            .add_extension(x509.AuthorityKeyIdentifier
                           .from_issuer_subject_key_identifier(ca_id), critical=False)
            .add_extension(x509.SubjectAlternativeName([general_name(n) for n in names]),
                           critical=False)
            .sign(ca_key, hashes.SHA256()))
    pem = serialization.Encoding.PEM
    write(os.path.join(folder, "ca.key"), key_pem(ca_key))
    write(os.path.join(folder, "ca.pem"), ca.public_bytes(pem))
    write(os.path.join(folder, "server.key"), key_pem(key))
    write(os.path.join(folder, "server.pem"), leaf.public_bytes(pem) + ca.public_bytes(pem))
    return folder


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("use: testca.py FOLDER [NAME ...]")
    make(sys.argv[1], tuple(sys.argv[2:]) or ("localhost", "127.0.0.1"))
