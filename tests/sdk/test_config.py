"""Where settings come from, and that the key stays hidden."""

import pytest

from runloop_sdk import AsyncRunloopSDK, ConfigurationError
from runloop_sdk._config import resolve_config

KEY = "ak_secret"


def test_environment_is_the_default() -> None:
    config = resolve_config(
        environ={
            "RUNLOOP_API_KEY": f" {KEY}\n",
            "RUNLOOP_BASE_URL": "http://127.0.0.1:8080/",
            "RUNLOOP_CUSTOM_HEADERS": "X-Team: blue\nnonsense\nX-Two: a:b",
        }
    )
    assert config.bearer_token == KEY
    assert config.base_url == "http://127.0.0.1:8080"
    assert config.headers == {"X-Team": "blue", "X-Two": "a:b"}
    assert config.loopback


def test_arguments_win_over_the_environment() -> None:
    environ = {"RUNLOOP_API_KEY": "other", "RUNLOOP_BASE_URL": "https://other.example"}
    config = resolve_config(bearer_token=KEY, base_url="https://api.example", environ=environ)
    assert (config.bearer_token, config.base_url) == (KEY, "https://api.example")


def test_missing_key_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="RUNLOOP_API_KEY"):
        resolve_config(environ={})


@pytest.mark.parametrize("url", ["example.com", "ftp://example.com", "http://", "//x"])
def test_url_that_is_none_is_refused_by_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="RUNLOOP_BASE_URL"):
        resolve_config(bearer_token=KEY, base_url=url, environ={})


@pytest.mark.parametrize("url", ["https://me:hidden@example.com", "ftp://me:hidden@example.com", "http://hidden@x:80"])
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="user name or a password") as raised:
        resolve_config(bearer_token=KEY, base_url=url, environ={})
    assert "hidden" not in str(raised.value)


async def test_key_is_in_no_repr() -> None:
    async with AsyncRunloopSDK(bearer_token=KEY, base_url="http://127.0.0.1:9") as sdk:
        assert KEY not in repr(sdk) + repr(sdk.api) + repr(vars(sdk._transport))
