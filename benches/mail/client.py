"""Sends mails, several at a time, each over a connection of its own, and waits until all are in the mailbox.

usage: client.py ADDRESS PORT MAILS SENDERS RECIPIENT MAILDIR

Prints, as JSON, the seconds from the first connection until the last mail was accepted, and until it was delivered.
"""

import json
import os
import smtplib
import sys
import threading
import time

LINE = "A line of a mail that has many of them, and says nothing.\r\n"
BODY = LINE * (10_000 // len(LINE))


def message(sender, recipient, number):
    return (f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: Mail {number}\r\n"
            f"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <{number}.{time.time_ns()}@outside.test>\r\n\r\n{BODY}")


def delivered(maildir):
    try:
        return len(os.listdir(maildir))
    except FileNotFoundError:
        return 0  # nothing has been delivered yet


def main(address, port, mails, senders, recipient, maildir):
    port, mails, senders = int(port), int(mails), int(senders)
    errors = []

    def send(sender):
        try:
            for number in range(sender, mails, senders):
                with smtplib.SMTP(address, port, "client.outside.test", timeout=60) as client:
                    user = f"sender-{sender}@outside.test"
                    client.sendmail(user, recipient, message(user, recipient, number))
        except Exception as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(senders)]
    before, began = delivered(maildir), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    accepted = time.monotonic() - began
    while not errors and delivered(maildir) < before + mails:
        if time.monotonic() > began + 120:
            errors.append(f"{delivered(maildir) - before} of {mails} mails were delivered in two minutes")
        time.sleep(0.01)
    print(json.dumps({"accepted": accepted, "delivered": time.monotonic() - began, "errors": errors}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
