"""Which encoding a text file is likely to be in: proposed to a person, never used to read an export unasked."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rfmkit.data.guesses.headings import normalised, words_of_headings

#: What clinics' systems write; detectors that know more take short text for Macintosh or Big5.
CYRILLIC = ("cp1251", "cp866", "koi8-r", "mac_cyrillic")
CHINESE = ("gb18030", "big5")
WESTERN = ("cp1252",)

_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
#: A file that says in which encoding it is, and is not.
_BROKEN = "broken"
_BLOCK = 1 << 22
#: So many bytes of lines that are not plain ASCII decide.
_SAMPLE = 1 << 16
#: The best reading must be so much better than the next, and so good.
_CLOSE = 0.7
_GOOD = 0.5
#: What a text is worth in which only currency signs and hard blanks are not ASCII.
_SIGNS_ALONE = 0.45
#: Letters below which nothing is sure.
_FEW = 12

#: Pairs of letters of Russian, the most frequent ones; most pairs of a text are among them.
_PAIRS = frozenset(
    re.findall(
        "..",
        "стнотонаенниковрапоророкалиреаляетоленойановатанитераслвоесомалкадеросдаиентиелитводоопогогиинеинннамосебыть"
        "ьсяписиемпрчтоботмемыйаяеепечекоткитиивитьцигиркамафиулугдлблеебрмидиогзуудтвогкаелабовепастобисолечетчес"
        "тиискарилозаулузканнарийидроцеожнжиеййоехаршатиатниапихлоигевафиивыбосвгружиювамчавобщщийщешечистччешихаблют"
        "дрпаизазчеоззбязтьезилмбмпрпркрсртрурыреглграглгрфрофоафафекрувшнщикбирбонстнтрнкнднцнсийцияцикцеэтэпюбют"
        "яняряляевеезжедзсмсксунстыдызыбыгунукунувушуубуркуютжабажаияижейидасуаслугкацаташмелюлькирмстркгшельзлжадндт",
    )
)
#: With the letters that its neighbours have besides.
_RUSSIAN = frozenset("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў")
#: Signs that most of a Chinese text is made of, in simplified and in traditional writing.
_SIGNS = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日月号期时间年消费金额项目客户会员卡单据编姓"
    "名手机电话门店医生师护理治疗收付款实应优惠折扣数量类别备注性别男女出入推荐同意拒绝联系短信邮件来源营销积分赠送抵支付方式微信"
    "现金充值余额次合计总小共计价格皮肤美容光子嫩热玛吉玻尿酸填充脱毛水针检测套餐洗牙种植正畸拔补复诊初挂病历科室诊所院区分公司北"
    "京上海广州深圳王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏"
    "钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文明华丽伟芳娜秀英敏静强磊军洋勇艳杰"
    "娟涛超霞平刚桂梓萱涵子若曦雨佳琪思远诗婷梦瑶宁安嘉欣怡晨宇轩浩然可馨一诺紫兰市路东西南北西城外朝阳"
    "這個們來為國時會說對後過發經學現當沒動還進樣實從單據編號員額項戶門醫師護療應優惠數類別備註電話機名稱總計價錢費診療齒牙醫院處"
)
_LATIN = frozenset("äöüÄÖÜßéèêëáàâåãçíìîïóòôõøúùûñýæœÉÈÀÁÅÇÑÓØÚÆ")
#: Signs beside letters that any of these languages may have.
_NEUTRAL = frozenset(
    "«»№—–…“”„‘’•·°€£₽¥￥%（）：，。；、－　！？【】《》＋０１２３４５６７８９．／ \u00a0\u202f\u2009§±×"
)


@dataclass(frozen=True)
class Reading:
    """An encoding in which files may be.

    Attributes
    ----------
    encoding : str
    score : float
        How much of what is not ASCII makes sense in it, from 0 to 1.
    others : tuple of str
        Encodings that are nearly as good and give another text, the best first.
    letters : int
        How many letters this rests on.
    """

    encoding: str
    score: float = 1.0
    others: tuple[str, ...] = ()
    letters: int = 0

    @property
    def sure(self) -> bool:
        """Whether nothing else comes near."""
        return not self.others and self.score >= _GOOD


def guess_encoding(paths: list[Path]) -> Reading | None:
    """The encoding that all of some text files are likely to be in.

    Parameters
    ----------
    paths : list of pathlib.Path

    Returns
    -------
    Reading or None
        None where no encoding known here reads all of them.

    Notes
    -----
    A byte order mark decides, then strict UTF-8. Else every encoding of a short list that decodes the files is scored
    by whether its letters make words: pairs of letters and capitals for Russian, frequent signs for Chinese, single
    accented letters for Western languages, and words that headings are made of.
    """
    certain = [_certain(path) for path in paths]
    if _BROKEN in certain or ("ascii" in certain and any(str(one).startswith("utf-16") for one in certain)):
        return None
    open_ = [path for path, one in zip(paths, certain, strict=True) if one is None]
    said = {one for one in certain if one not in (None, "ascii")}
    if not open_:
        return Reading(said.pop()) if len(said) == 1 else None if said else Reading("utf-8")
    if said:
        return None
    sample = b"".join(_telling_lines(path, _SAMPLE // len(open_)) for path in open_)
    readings = []
    for encoding in (*CYRILLIC, *CHINESE, *WESTERN):
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError:
            continue
        readings.append((_score(text, encoding), encoding, text))
    readings.sort(key=lambda reading: -reading[0])
    for at, (score, encoding, text) in enumerate(readings):
        if not all(_decodes(path, encoding) for path in open_):
            continue
        letters = sum(ord(sign) > 127 and sign.isalpha() for sign in text)
        near = _CLOSE * score if letters >= _FEW else 0.0
        others = [other for value, other, words in readings[at + 1 :] if value > near and words != text]
        return Reading(encoding, score, tuple(others[:2]), letters)
    return None


def _certain(path: Path) -> str | None:
    """What a byte order mark, zero bytes or strict UTF-8 say; "ascii" where every encoding reads the same."""
    with path.open("rb") as stream:
        start = stream.read(1 << 12)
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            return encoding if _decodes(path, encoding) else _BROKEN
    if b"\0" in start:
        encoding = "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
        return encoding if _decodes(path, encoding) else _BROKEN
    if _decodes(path, "ascii"):
        return "ascii"
    return "utf-8" if _decodes(path, "utf-8") else None


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)(errors="strict")
    try:
        for block in _blocks(path):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            yield block


def _telling_lines(path: Path, most: int) -> bytes:
    """Whole lines with bytes that are not ASCII, the first ones."""
    found, rest, size = [], b"", 0
    for block in _blocks(path):
        lines = re.split(b"(?<=[\r\n])", rest + block)
        rest = lines.pop()
        for line in lines:
            if not line.isascii():
                found.append(line)
                size += len(line)
                if size > most:
                    return b"".join(found)
    return b"".join([*found, rest])


def _score(text: str, encoding: str) -> float:
    """How much of what is not ASCII makes sense, every word counted once."""
    words = {word for word in re.split(r"[\s;,|\t\"0-9()/:.\-]+", text) if not word.isascii()}
    judge = _russian if encoding in CYRILLIC else _chinese if encoding in CHINESE else _western
    good = total = 0.0
    for word in words:
        strange = [sign for sign in word if ord(sign) > 127 and sign not in _NEUTRAL]
        good += judge(word) if strange else 0
        total += len(strange)
    if not total:
        return _SIGNS_ALONE
    headings = {part for word in words for part in normalised(word).split() if not part.isascii()}
    met = len(headings & words_of_headings())
    return min(1.0, 0.8 * max(good, 0.0) / total + 0.2 * min(met, 3) / 3)


def _russian(word: str) -> float:
    """Letters of a word that stand beside the letters they stand beside in Russian."""
    if any(ord(sign) > 127 and sign not in _NEUTRAL and sign.casefold() not in _RUSSIAN for sign in word):
        # No Russian word holds it: it was another letter before it was read so.
        return -float(len(word))
    good = 0.0
    for part in re.findall(r"[^\W\d_]+", word):
        if part.isascii() or not (part.islower() or part.isupper() or part.istitle()):
            continue
        small = part.casefold().replace("ё", "е")
        pairs = [small[at : at + 2] in _PAIRS for at in range(len(small) - 1)]
        good += len(part) * min(1.0, sum(pairs) / len(pairs) / 0.7) if pairs else 0.25
    return good


def _chinese(word: str) -> float:
    """Signs of a word that are frequent; rare ones count a little, since names have them."""
    return sum(
        1.0 if sign in _SIGNS else 0.2 if "\u4e00" <= sign <= "\u9fff" else 0.0 for sign in word if sign not in _NEUTRAL
    )


def _western(word: str) -> float:
    """Accented letters that stand alone among plain ones."""
    good = 0
    for at, sign in enumerate(word):
        beside = word[max(at - 1, 0) : at] + word[at + 1 : at + 2]
        good += sign in _LATIN and any(one.isascii() and one.isalpha() for one in beside) and beside.isascii()
    return float(good)
