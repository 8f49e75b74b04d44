"""Settings of trusted issuers of tokens.

Invariant: an issuer is asked over TLS, or on this machine: its keys decide who is let in.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from prequal.core.settings import checks

IssuerAddress = Annotated[str, AfterValidator(checks.issuer)]


class ApiIssuerSettings(BaseSettings):
    """Whose tokens the API's clients may send in place of our own."""

    api_jwt_issuer: IssuerAddress = Field(
        "",
        description="https://host/path of an issuer whose access tokens (JWT) are taken beside our own, as its `iss` "
        "spells it; http:// on a loopback address alone. Empty: none.",
    )
    api_jwt_audience: str = Field(
        "", max_length=500, description="The `aud` of such a token: this API, as the issuer knows it. Required with it."
    )
    api_jwt_jwks_url: IssuerAddress = Field(
        "", description="https://host/path of the issuer's keys (JWKS); found by its discovery document if empty."
    )
    api_jwt_client_claim: Literal["client_id", "azp", "sub"] = Field(
        "client_id", description="The claim that names the client, as `prequal clients identity` is given it."
    )

    @model_validator(mode="after")
    def _has_an_audience(self) -> Self:
        if self.api_jwt_issuer and not self.api_jwt_audience:
            raise ValueError("API_JWT_AUDIENCE is missing beside API_JWT_ISSUER")
        return self


class SignInIssuerSettings(BaseSettings):
    """The issuer that people may sign in by at the console, and whether passwords are taken beside it."""

    oidc_issuer: IssuerAddress = Field(
        "",
        description="https://host/path of an issuer (OpenID Connect) that people may sign in by, as its `iss` spells "
        "it; http:// on a loopback address alone. Empty: none.",
    )
    oidc_client_id: str = Field(
        "", max_length=500, description="The console, as the issuer knows it. Required with it."
    )
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="The console's secret there. Required with it.")
    oidc_redirect_uri: Annotated[str, AfterValidator(checks.redirect_uri)] = Field(
        "",
        description=f"https://host{checks.SIGN_IN_CALLBACK} of the console as browsers reach it, registered with the "
        "issuer; http:// on a loopback address alone. Required with it.",
    )
    oidc_required_acr: str = Field(
        "",
        max_length=500,
        description="The `acr` that a sign-in by the issuer must have, such as one of two factors. Empty: any.",
    )
    console_passwords: bool = Field(True, description="Whether people may sign in by a password of this service.")

    @model_validator(mode="after")
    def _issuer_is_whole(self) -> Self:
        others = {
            "OIDC_CLIENT_ID": self.oidc_client_id,
            "OIDC_CLIENT_SECRET": self.oidc_client_secret.get_secret_value(),
            "OIDC_REDIRECT_URI": self.oidc_redirect_uri,
        }
        for name, value in others.items():
            if self.oidc_issuer and not value:
                raise ValueError(f"{name} is missing beside OIDC_ISSUER")
            if value and not self.oidc_issuer:
                raise ValueError(f"OIDC_ISSUER is missing beside {name}")
        return self

    @model_validator(mode="after")
    def _somebody_can_sign_in(self) -> Self:
        if not (self.console_passwords or self.oidc_issuer):
            raise ValueError("CONSOLE_PASSWORDS is off, and OIDC_ISSUER is missing: nobody could sign in")
        return self
