"""The one HTTP listener: inputs and outputs add routes to it. The only importer of aiohttp's server, with them."""

from xmppbus.web.answers import Answer, json_answer, refusal_answer
from xmppbus.web.bounds import check_json
from xmppbus.web.listener import Web
from xmppbus.web.request import Request, query_fields

__all__ = ["Answer", "Request", "Web", "check_json", "json_answer", "query_fields", "refusal_answer"]
