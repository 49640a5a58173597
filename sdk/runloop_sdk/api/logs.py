"""`.api.devboxes.logs`: the logs of devboxes."""

from __future__ import annotations

from typing import Unpack

from .. import models
from ..params.logs import LogListParams
from ._resource import APIResource, path_of


class LogsAPI(APIResource):
    """Operations on logs."""

    async def list(self, id: str, **params: Unpack[LogListParams]) -> models.DevboxLogsListView:
        """All log lines of a devbox, up to some seconds ago (`GET /v1/devboxes/{id}/logs`)."""
        return await self._get(path_of("/v1/devboxes/{}/logs", id), params, lambda: models.DevboxLogsListView)
