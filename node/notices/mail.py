"""Notices as e-mail: SMTP with TLS, from the standard library.

The server's certificate is checked against the machine's authorities and the host's name. A server
that cannot prove itself, or offers no TLS where it is asked for, gets neither letter nor password;
the letter waits.
"""

import smtplib
import ssl
from email.message import EmailMessage

from node.notices.sending import Failed, Message
from node.notices.settings import Mail

PERMANENT = range(500, 600)  # SMTP's own words for "do not try again"


class MailSender:
    """Hands each message to the operator's SMTP server."""

    def __init__(self, settings: Mail) -> None:
        self._settings = settings

    def send(self, message: Message) -> None:
        """One connection a message: notices are few, and a broken one spoils no other."""
        letter = compose(message, sender=self._settings.sender)
        try:
            with self._connect() as server:
                if self._settings.user:
                    server.login(self._settings.user, self._settings.password)
                server.send_message(letter)
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            is_final = all(code in PERMANENT for code in codes)
            raise Failed("mail_address_refused", is_final=is_final) from refused
        except smtplib.SMTPAuthenticationError as refused:
            raise Failed("mail_password_refused") from refused
        except smtplib.SMTPResponseException as answer:
            raise Failed(f"mail_{answer.smtp_code}") from answer
        except ssl.SSLCertVerificationError as problem:
            raise Failed("mail_certificate_refused") from problem
        except (OSError, smtplib.SMTPException) as problem:
            raise Failed("mail_server_unreachable") from problem

    def _connect(self) -> smtplib.SMTP:
        host, port = self._settings.host, self._settings.port
        timeout = self._settings.timeout_seconds
        if self._settings.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
        server = smtplib.SMTP(host, port, timeout=timeout)
        if self._settings.security == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except smtplib.SMTPNotSupportedError as problem:
                server.close()
                raise Failed("mail_tls_missing") from problem
            except BaseException:
                server.close()
                raise
        return server


def compose(message: Message, *, sender: str) -> EmailMessage:
    """The letter; the same message twice is the same letter."""
    letter = EmailMessage()
    letter["From"], letter["To"] = sender, message.address
    letter["Subject"] = " ".join(message.subject.split())
    letter["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.text, cte="base64")  # not every server takes eight bits
    if message.calendar:
        letter.add_attachment(
            message.calendar, maintype="text", subtype="calendar", filename="linli.ics"
        )
    return letter
