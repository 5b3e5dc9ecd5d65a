"""The pages that the daily job wrote, as they lie in the home: the newest day's, all days', the map, lineages.

What belongs here: which files of the reports' folder are handed out, and under which policy. What does not: pages that
are made for a request (:mod:`dagster_project.web.pages`).
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from atelier.report.index import INDEX

if TYPE_CHECKING:
    from starlette.requests import Request

#: The names that the daily job gives. Nothing else of the folder can be asked for, whatever lies there.
WRITTEN = re.compile(r"index\.html|ds=\d{4}-\d\d-\d\d(?:-map)?\.html|ds=\d{4}-\d\d-\d\d-lineage/[\w-]+\.html")
#: A page stands alone: its styles, photographs and, of the map, its script are in it. Its own policy allows less.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def written_page(reports: Path, request: "Request") -> Response:
    """One page of the reports' folder.

    Raises:
        HTTPException: 404, where the daily job writes no such page, or has not yet.
    """
    name = str(request.path_params.get("name") or INDEX)
    file = reports / name
    # Nothing that leads out of the folder, whichever part of the name is a link.
    if not WRITTEN.fullmatch(name) or file.resolve() != reports.resolve() / name or not file.is_file():
        raise HTTPException(404, "There is no such page of a day. The job daily_retrain writes one for each day.")
    return HTMLResponse(file.read_bytes(), headers={"content-security-policy": POLICY})
