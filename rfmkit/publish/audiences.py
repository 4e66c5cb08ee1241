"""Audiences for advertising platforms: fingerprints of phones and addresses, and nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

#: One column a fingerprint: Google's names, which the others know too; a heading may stand several times.
HEADER = "Email,Phone,Phone"


def audience_csv(contacts: pd.DataFrame) -> bytes:
    """The patients who may be advertised to, as platforms match them with their own users.

    Each line holds up to three SHA-256 in small hexadecimal digits, of the address without blanks in small letters, of
    the phone in E.164 with its plus (as Google hashes it), and of the same phone in digits alone, country code first
    (as Meta and TikTok hash it). Both kinds of platform take several columns of phones, and each finds its own.

    Parameters
    ----------
    contacts : pandas.DataFrame
        ``ads_phone`` (E.164) and ``ads_email``, each missing where the patient has not consented to advertising, has
        opted out, or has no valid one; either column may be absent.

    Returns
    -------
    bytes
        ASCII, a line for each distinct pair, in the order of the fingerprints, so that it tells nothing of who is
        first; empty if nobody is left.

    References
    ----------
    Google Ads Help, "Formatting guidelines for uploading hashed data" (headings, several columns, SHA-256):
    https://support.google.com/google-ads/answer/7476159; the template of the same page says E.164 for phones.
    Meta, "Customer information parameters" (normalising and examples of hashes):
    https://developers.facebook.com/docs/marketing-api/conversions-api/parameters/customer-information-parameters;
    Meta Business Help, "How to format a customer list" (up to three columns of phones):
    https://www.facebook.com/business/help/2082575038703844. TikTok Ads, "List of supported IDs and formats for a
    customer file": https://ads.tiktok.com/help/article/list-of-supported-ids-and-formats-for-a-customer-file.
    """
    import pandas as pd

    missing = pd.Series(None, contacts.index, dtype="str")
    texts = pd.DataFrame(
        {name: contacts.get(name, missing).astype("str").fillna("") for name in ("ads_email", "ads_phone")}
    )
    texts["ads_email"] = texts["ads_email"].str.strip().str.lower()
    # Before they are hashed: of two that differ, the fingerprints differ too.
    texts = texts[texts.ne("").any(axis=1)].drop_duplicates()
    if texts.empty:
        return b""
    emails, phones = (texts[name] for name in texts)
    columns = (map(_fingerprint, column.tolist()) for column in (emails, phones, phones.str.removeprefix("+")))
    # A comma is less than any digit, and all fingerprints are of one length: lines sort as their fingerprints do.
    return "\r\n".join([HEADER, *sorted(map(",".join, zip(*columns, strict=True))), ""]).encode("ascii")


def _fingerprint(text: str) -> str:
    """SHA-256 of a text, "" where there is none."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest() if text else ""
