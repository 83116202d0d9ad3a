"""The page ``/docs``: the REST interface as FastAPI describes it, without anything from elsewhere."""

import json
from typing import Any

from jinja2 import Environment

from review.problems import CODES

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>formscribe: REST</title>
<link rel="stylesheet" href="/static/desk.css"></head>
<body class="docs"><main>
<h1>REST interface</h1>
<p>All of it for programs: <a href="/openapi.json">openapi.json</a>. Requests that change something carry
the header <code>X-Formscribe: 1</code>; where a token is needed,
<code>Authorization: Bearer TOKEN</code>.</p>
{% for call in calls %}
<section><h2><code>{{ call.method }} {{ call.path }}</code></h2>
<p>{{ call.text }}</p>
{% if call.parameters %}<table>
<thead><tr><th>parameter</th><th>in</th><th>schema</th></tr></thead><tbody>
{% for p in call.parameters %}
<tr><td><code>{{ p.name }}</code>{{ " (needed)" if p.required }}</td><td>{{ p.in }}</td>
<td><code>{{ p.schema }}</code></td></tr>{% endfor %}</tbody></table>{% endif %}
{% if call.body %}<p>Body: <code>{{ call.body }}</code></p>{% endif %}
{% if call.answer %}<p>Answer: <code>{{ call.answer }}</code></p>{% endif %}
</section>
{% endfor %}
<h1>Bodies</h1>
{% for name, members in bodies %}<section id="body-{{ name }}"><h2><code>{{ name }}</code></h2>
<table><tbody>{% for member, schema in members %}<tr><td><code>{{ member }}</code></td>
<td><code>{{ schema }}</code></td></tr>{% endfor %}</tbody></table></section>
{% endfor %}
<h1>Problems</h1>
<p>Answers with a status of 400 and above are <code>application/problem+json</code> (RFC 9457) with a
<code>code</code>:</p>
<table><tbody>{% for code, text in codes %}
<tr id="{{ code }}"><td><code>{{ code }}</code></td><td>{{ text }}</td></tr>
{% endfor %}</tbody></table>
</main></body></html>
"""


def api_page(openapi: dict[str, Any]) -> str:
    """The HTML of the page."""
    calls = [
        {
            "method": method.upper(),
            "path": path,
            "text": operation.get("description", ""),
            "parameters": [{**p, "schema": _short(p["schema"])} for p in operation.get("parameters", [])],
            "body": _content(operation.get("requestBody", {})),
            "answer": _content(operation["responses"].get("200", {})),
        }
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    ]
    schemas = openapi["components"]["schemas"]
    bodies = [
        (name, [(member, _short(part)) for member, part in schema.get("properties", {}).items()])
        for name, schema in schemas.items()
    ]
    page = Environment(autoescape=True).from_string(_PAGE)
    return page.render(calls=calls, bodies=bodies, codes=CODES.items())


def _content(part: dict[str, Any]) -> str:
    return ", ".join(
        f"{kind}: {_short(media['schema'])}" if "schema" in media else kind
        for kind, media in part.get("content", {}).items()
    )


def _short(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return json.dumps({name: value for name, value in schema.items() if name != "title"}, ensure_ascii=False)
