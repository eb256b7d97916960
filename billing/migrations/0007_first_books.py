"""Rows to begin with: the platform's accounts, four plans, packs, and the prices of 2026-04-28.

Operators change all but the accounts in the admin. The GPUs' prices and those of hosted services are estimates from a
publication until an operator enters the own bill.
"""

from datetime import date
from decimal import Decimal

from django.db import migrations

READ_ON = date(2026, 4, 28)
SOURCE = "Spheron's price list as of 2026-04-28, from its guide to self-hosted image-to-video"

GPUS = {
    # name: GB, the driver's names, on demand, spot
    "RTX 4090": (24, ["NVIDIA GeForce RTX 4090"], "0.79", None),
    "RTX 5090 PCIe": (32, ["NVIDIA GeForce RTX 5090"], "0.86", None),
    "L40S": (48, ["NVIDIA L40S"], "0.72", "0.32"),
    "H100 PCIe": (80, ["NVIDIA H100 PCIe"], "2.01", None),
    "H100 SXM5": (80, ["NVIDIA H100 80GB HBM3"], "2.90", "0.80"),
    "H200 SXM5": (141, ["NVIDIA H200"], "3.96", "1.19"),
}
PEERS = {
    "Runway Gen-3 Alpha": ("0.05", True),
    "Runway and Sora, lower end": ("0.04", False),
}
PLANS = {
    "free": {
        "summary": "To try it out: one job at a time, behind everybody who pays.",
        "credits_per_month": 100,
        "seconds_per_day": 60,
        "seconds_per_month": 600,
        "allowed_presets": ["draft", "standard"],
        "max_pixels": 1280 * 720,
        "max_seconds": 6,
        "watermark": True,
        "output_formats": ["mp4"],
        "storage_mib": 2 * 1024,
        "retention_days": 30,
        "requests_per_minute": 120,
    },
    "creator": {
        "name": "Creator",
        "summary": "For one person who makes clips most days.",
        "tiers": ["paid", "free"],
        "weight": 2,
        "concurrent_jobs": 2,
        "queued_jobs": 50,
        "credits_per_month": 2_000,
        "seconds_per_day": 1_200,
        "max_pixels": 1920 * 1088,
        "max_seconds": 12,
        "storage_mib": 20 * 1024,
        "retention_days": 365,
        "requests_per_minute": 300,
        "price_cents": 19_00,
    },
    "studio": {
        "summary": "For teams: every tier, eight jobs at a time, batches overnight.",
        "credits_per_month": 20_000,
        "storage_mib": 200 * 1024,
        "requests_per_minute": 1_200,
        "price_cents": 149_00,
    },
    "enterprise": {
        "name": "Enterprise",
        "summary": "Your own machines, your own rules: nothing is metered.",
        "tiers": ["paid", "batch", "free"],
        "weight": 8,
        "concurrent_jobs": 32,
        "queued_jobs": 10_000,
    },
}
PACKS = {
    "small": ("500 credits", 500, 6_00),
    "medium": ("2,000 credits", 2_000, 22_00),
    "large": ("10,000 credits", 10_000, 100_00),
}


def fill(apps, schema_editor):
    account = apps.get_model("billing", "Account")
    for kind in ("granted", "sold", "adjusted", "spent", "expired"):
        account.objects.create(kind=kind)
    plan = apps.get_model("billing", "Plan")
    for slug, columns in PLANS.items():
        plan.objects.update_or_create(slug=slug, defaults=columns, create_defaults=columns)
    pack = apps.get_model("billing", "CreditPack")
    for slug, (name, amount, cents) in PACKS.items():
        pack.objects.create(slug=slug, name=name, credits=amount, price_cents=cents)
    _prices(apps)


def _prices(apps):
    gpu, price = apps.get_model("billing", "Gpu"), apps.get_model("billing", "GpuPrice")
    for name, (vram_gb, device_names, *prices) in GPUS.items():
        kind = gpu.objects.create(name=name, vram_gb=vram_gb, device_names=device_names)
        for market, usd in zip(("on_demand", "spot"), prices, strict=True):
            if usd is not None:
                price.objects.create(
                    gpu=kind, market=market, usd_per_hour=Decimal(usd), effective_from=READ_ON, source=SOURCE,
                    is_estimate=True,
                )  # fmt: skip
    peer = apps.get_model("billing", "PeerPrice")
    for name, (usd, is_reference) in PEERS.items():
        peer.objects.create(
            name=name, usd_per_second=Decimal(usd), as_of=READ_ON, source=SOURCE, is_reference=is_reference
        )


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_ledger_rules")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
