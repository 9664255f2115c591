"""Links that sign in to the page of this machine."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine

from moonx_pipeline.settings import Settings


def sign_in_link(settings: Settings, engine: Engine, user_id: str, *, is_admin: bool, lifetime: timedelta) -> str:
    """A link that signs a user in to this machine's page, once, within a minute; administrators to their view.

    Args:
        settings: Of this machine; development only.
        engine: The pipeline's database, with this version's schema.
        user_id: Checked already.
        is_admin: Whether with the role of an administrator.
        lifetime: Of the session that begins with it.

    Raises:
        WrongUse: Tokens are issued elsewhere.
    """
    from moonx_pipeline.gateway.auth import development_token
    from moonx_pipeline.storage.protection.sign_in_codes import issue_code

    token = development_token(settings, user_id, is_admin=is_admin, lifetime=lifetime)
    with engine.begin() as connection:
        code, _ = issue_code(connection, token)
    return f"http://127.0.0.1:{settings.gateway.port}/{'admin' if is_admin else ''}#code={code}"
