"""What a word in a cell answers, in the languages of clinics' systems: yes or no, female or male."""

from __future__ import annotations

import re
import unicodedata

import pandas as pd

from rfmkit.data.contacts import INVISIBLE

_YES = "да д yes y true t 1 + ✓ ✔ ☑ √ истина есть 是 有 真"
_NO = "нет н no n false f 0 - — ложь 否 无 没有 假 n/a null none"
_REFUSAL = "отказ отказался отказалась отозвано отозван refused withdrawn 拒绝"
_AGREED = "согласен согласна согласие получено дано consent agreed given 同意 已同意"
_DISAGREED = ("не согласен", "не согласна", "не получено", "не дано", "not given", "不同意", "未同意")
_SIGNED_OFF = "отписан отписана отписался отписалась unsubscribed stop 退订"
YES, NO, _REFUSED = (frozenset(words.split()) for words in (_YES, _NO, _REFUSAL))
#: What a column of consents says, and one of those who want to hear nothing: a refusal is a no there, a yes here.
CONSENTED, NOT_CONSENTED = YES | set(_AGREED.split()), NO | _REFUSED | set(_DISAGREED)
OPTED_OUT, NOT_OPTED_OUT = YES | _REFUSED | {*_SIGNED_OFF.split(), "opted out"}, NO

_FEMALE = "ж жен женский женщина девочка f fem female w woman girl 女 女性 女士"
_MALE = "м муж мужской мужчина мальчик m male man boy 男 男性 先生"
SEXES = dict.fromkeys(_FEMALE.split(), "female") | dict.fromkeys(_MALE.split(), "male")
#: Numbers are not among these: 1 is a man by ISO 5218, a woman in many a clinic.
NO_SEX = frozenset(
    ["-", "—", "?", "нет", "не указан", "не указано", "неизвестно", "unknown", "u", "n/a", "null", "none"]
)
NO_SEX |= {"未知", "不详"}

_TAIL = re.compile("[.,]0+$")
_BLANKS = "[\\s\u00a0\u2000-\u200a\u202f\u3000]+"


def tidy(texts: pd.Series) -> pd.Series:
    """Text in Unicode's composed form, with single blanks and nothing invisible; missing where nothing is left."""
    plain = texts.str.replace(INVISIBLE, "", regex=True).str.replace(_BLANKS, " ", regex=True).str.strip()
    return plain.str.normalize("NFC").replace("", None)


def folded(texts: pd.Series) -> pd.Series:
    """Answers without what people write them differently by: width, capitals, blanks, a full stop, a float's zero."""
    known = {text: _TAIL.sub("", unicodedata.normalize("NFKC", text).casefold()) for text in texts.dropna().unique()}
    return tidy(texts.map(known).astype("str")).str.strip(" .!")


def says_yes(texts: pd.Series) -> pd.Series:
    """Answers as True and False; missing where they are neither yes nor no."""
    words = folded(texts)
    return words.isin(YES).astype("boolean").where(words.isin(YES | NO))
