from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "mutoscope.accounts"
    label = "accounts"
