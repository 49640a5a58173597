"""The account that an API key belongs to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ._view import View

AccountStatus = (
    Literal[
        "ACCOUNT_STATUS_INVALID",
        "ACCOUNT_STATUS_ONBOARDING",
        "ACCOUNT_STATUS_ENABLED",
        "ACCOUNT_STATUS_DISABLED_BY_ADMIN",
        "ACCOUNT_STATUS_DISABLED_QUOTA_REACHED",
        "ACCOUNT_STATUS_TRIAL_CANCELLED",
        "ACCOUNT_STATUS_STRIPE_PENDING_RESOURCES",
        "UNRECOGNIZED",
    ]
    | str
)
AccountTier = (
    Literal[
        "ACCOUNT_TIER_INVALID",
        "ACCOUNT_TIER_BASIC",
        "ACCOUNT_TIER_PRO",
        "ACCOUNT_TIER_ENTERPRISE",
        "ACCOUNT_TIER_TRIAL",
        "UNRECOGNIZED",
    ]
    | str
)
BillingType = Literal["STRIPE", "AWS_MARKETPLACE", "STRIPE_PROJECTS", "UNRECOGNIZED"] | str


class BillingAws(View):
    """Billing through the AWS Marketplace."""

    customer_identifier: str | None = None
    license_arn: str | None = None
    subscription_status: str | None = None


class BillingStripe(View):
    """Billing through Stripe."""

    active_subscription: str | None = None
    customer_id: str | None = None


class Billing(View):
    """The billing of an account; only the field for its type is set."""

    account_billing_type: BillingType = "UNRECOGNIZED"
    aws: BillingAws | None = None
    stripe: BillingStripe | None = None
    stripe_customer_id: str | None = None


class AccountView(View):
    """An account; `created_at` is an ISO 8601 time."""

    id: str
    account_status: AccountStatus
    created_at: str
    name: str
    tier: AccountTier
    billing: Billing = Field(default_factory=Billing)
    account_billing_type: BillingType | None = None
    active_subscription: str | None = None
    external_billing_account_id: str | None = None
    stripe_customer_id: str | None = None
