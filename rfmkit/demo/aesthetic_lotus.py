"""An aesthetic clinic in China: three branches, opened with the export, a programme from November 2025."""

from __future__ import annotations

from rfmkit.demo.recipe import Branch, Kind, Layout, Names, Phones, Programme, Recipe, Service

SUMMER = (500, 600, 1000, 1300, 1600, 1600, 1400, 1100, 900, 800, 600, 600)

SERVICES = (
    Service("面诊咨询", "咨询", 0, "医生"),
    Service("皮肤检测", "咨询", 0, "护理师"),
    Service("术后复查", "咨询", 0, "医生"),
    Service("水光针", "注射", 980_00, "医生"),
    Service("肉毒素除皱", "注射", 2_600_00, "医生", most=2),
    Service("玻尿酸填充", "注射", 3_800_00, "医生", most=3),
    Service("光子嫩肤", "光电", 880_00, "护理师"),
    Service("皮秒激光", "光电", 1_980_00, "医生"),
    Service("激光脱毛", "光电", 580_00, "护理师", most=3, season=SUMMER),
    Service("热玛吉", "抗衰", 15_800_00, "医生"),
    Service("超声炮", "抗衰", 9_800_00, "医生"),
    Service("果酸焕肤", "护理", 480_00, "护理师"),
    Service("小气泡清洁", "护理", 260_00, "护理师"),
    Service("舒敏修复", "护理", 420_00, "护理师"),
    Service("医用面膜", "产品", 198_00, "", most=3),
    Service("防晒霜", "产品", 238_00, "", most=2, season=SUMMER),
)

KINDS = (
    Kind(
        "maintenance",
        newcomers=0.42,
        known=0.0,
        shape=4,
        mean_days=58,
        spread=5,
        leave=(1, 9),
        main={"小气泡清洁": 3, "舒敏修复": 2, "果酸焕肤": 2, "术后复查": 3},
        own={"水光针": 30, "激光脱毛": 26, "光子嫩肤": 28, "肉毒素除皱": 10, "皮秒激光": 6},
        own_counts=(0.75, 0.25),
        first={"面诊咨询": 0.8, "皮肤检测": 0.7},
        extra={
            "医用面膜": 0.14,
            "防晒霜": 0.06,
            "小气泡清洁": 0.14,
            "舒敏修复": 0.10,
            "玻尿酸填充": 0.03,
            "热玛吉": 0.012,
        },
        ages=(33, 7),
        youngest=18,
        female=0.90,
        joins=0.68,
    ),
    Kind(
        "occasional",
        newcomers=0.58,
        known=0.0,
        shape=1,
        mean_days=80,
        spread=1,
        leave=(1, 2),
        main={
            "水光针": 16,
            "肉毒素除皱": 12,
            "玻尿酸填充": 9,
            "光子嫩肤": 14,
            "皮秒激光": 10,
            "激光脱毛": 14,
            "热玛吉": 2,
            "超声炮": 2,
            "果酸焕肤": 9,
            "小气泡清洁": 10,
            "舒敏修复": 5,
            "术后复查": 4,
        },
        first={"面诊咨询": 0.8, "皮肤检测": 0.5},
        extra={"医用面膜": 0.12, "防晒霜": 0.06, "小气泡清洁": 0.08},
        ages=(30, 8),
        youngest=18,
        female=0.86,
        joins=0.34,
    ),
)

# 某甲, 某乙 … is how a Chinese text names somebody who does not exist. 䶮 is in GB18030, not in GBK.
SURNAMES = tuple("王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗")
NAMES = Names(
    pattern="{surname}{given}{middle}",
    surnames=(SURNAMES, SURNAMES),
    given=(tuple("某样例虚拟"), tuple("某样例虚拟")),
    middle=(tuple("甲乙丙丁戊己庚辛壬癸婷娜琳雪䶮"), tuple("甲乙丙丁戊己庚辛壬癸伟强磊涛䶮")),
    test="测试卡",
)

# China reserves no numbers for fiction. 154 is a mobile prefix that no operator has been given.
PHONES = Phones(
    size=100_000_000,
    step=76_543_211,
    groups=(4, 4),
    patterns=("154{0}{1}", "154 {0} {1}", "+86 154{0}{1}", "154-{0}-{1}"),
)

RECIPE = Recipe(
    name="aesthetic-lotus",
    seed=20211102,
    services=SERVICES,
    kinds=KINDS,
    names=NAMES,
    phones=PHONES,
    layout=Layout(
        encoding="gb18030",
        delimiter=",",
        decimal=".",
        date_format="%Y/%m/%d",
        newline="\r\n",
        payments=(
            ("日期", "visit_date"),
            ("单据号", "receipt_id"),
            ("客户编号", "patient_id"),
            ("门店", "branch"),
            ("项目", "service"),
            ("类别", "category"),
            ("医生", "doctor"),
            ("数量", "quantity"),
            ("优惠金额", "discount"),
            ("赠送积分", "bonus_accrued"),
            ("抵扣积分", "bonus_redeemed"),
            ("实收金额", "amount"),
        ),
        patients=(
            ("客户编号", "patient_id"),
            ("姓名", "name"),
            ("性别", "sex"),
            ("出生日期", "birth_date"),
            ("手机号", "phone"),
            ("邮箱", "email"),
            ("入会日期", "member_since"),
            ("推荐人编号", "referred_by"),
            ("同意短信", "consent_sms"),
            ("同意邮件", "consent_email"),
            ("同意电话", "consent_phone"),
            ("同意营销日期", "consent_ads"),
            ("同意来源", "consent_source"),
            ("拒绝联系", "opted_out"),
        ),
        sexes=("女", "男"),
        yes="是",
        no="否",
        dated_consents=("consent_ads",),
        patient_id="LT{0:06d}",
        receipt_id="{0}{1:07d}",
        return_id="{0}T{1:06d}",
    ),
    arrivals=(52, 1.05),
    season=(1150, 620, 950, 1000, 1080, 1120, 1000, 980, 1000, 980, 1120, 1050),
    price_step=10_00,
    inflation=15,
    tiers=(850, 1000, 1000, 1200, 1500),
    doctors={
        "医生": ("甲样例", "乙样例", "丙样例", "丁样例", "戊样例", "己样例"),
        "护理师": ("庚虚拟", "辛虚拟", "壬虚拟", "癸虚拟", "子虚拟", "丑虚拟"),
    },
    branches=(
        Branch("星湖店", "XH", 0, 1.3),
        Branch("云山店", "YS", 11, 1.0),
        Branch("滨江店", "BJ", 28, 0.8),
    ),
    programme=Programme(starts=48, accrual=50, most_redeemed=300, least=50_00, redeems=0.45, lift=1.12),
    closed_days=((1, 1), (10, 1)),
    refunds=0.012,
    consent_sources=("门店", "小程序", "电话"),
)
