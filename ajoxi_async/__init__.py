"""The async-first Python SDK of the Ajoxi cloud phone API, with an embedded sandbox that never rings a phone.

Names are imported on first use (PEP 562), so that ``import ajoxi_async`` costs next to nothing. The imports for type
checkers and the table below say the same; a test holds them together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ajoxi_async.version import VERSION

if TYPE_CHECKING:
    from ajoxi_async.client import AsyncAjoxi as AsyncAjoxi
    from ajoxi_async.client import RawResponse as RawResponse
    from ajoxi_async.contract.calls import Call as Call
    from ajoxi_async.contract.calls import CallStatus as CallStatus
    from ajoxi_async.contract.calls import Campaign as Campaign
    from ajoxi_async.contract.calls import Direction as Direction
    from ajoxi_async.contract.calls import Disposition as Disposition
    from ajoxi_async.contract.masking_filter import MaskingFilter as MaskingFilter
    from ajoxi_async.contract.messages import Channel as Channel
    from ajoxi_async.contract.messages import Media as Media
    from ajoxi_async.contract.messages import Message as Message
    from ajoxi_async.contract.messages import MessageStatus as MessageStatus
    from ajoxi_async.contract.numbers import CallerId as CallerId
    from ajoxi_async.contract.numbers import Capability as Capability
    from ajoxi_async.contract.numbers import Number as Number
    from ajoxi_async.contract.numbers import NumberStatus as NumberStatus
    from ajoxi_async.contract.numbers import NumberType as NumberType
    from ajoxi_async.contract.numbers import Port as Port
    from ajoxi_async.contract.numbers import Routing as Routing
    from ajoxi_async.contract.numbers import RoutingKind as RoutingKind
    from ajoxi_async.contract.numbers import SmsConfig as SmsConfig
    from ajoxi_async.contract.recordings import Recording as Recording
    from ajoxi_async.contract.sms_segments import count_segments as count_segments
    from ajoxi_async.contract.transcripts import Segment as Segment
    from ajoxi_async.contract.transcripts import Speaker as Speaker
    from ajoxi_async.contract.transcripts import Transcript as Transcript
    from ajoxi_async.contract.transcripts import TranscriptStatus as TranscriptStatus
    from ajoxi_async.contract.transcripts import Word as Word
    from ajoxi_async.contract.webhooks import CallAnswered as CallAnswered
    from ajoxi_async.contract.webhooks import CallCompleted as CallCompleted
    from ajoxi_async.contract.webhooks import CallStarted as CallStarted
    from ajoxi_async.contract.webhooks import Event as Event
    from ajoxi_async.contract.webhooks import EventType as EventType
    from ajoxi_async.contract.webhooks import MessageDelivered as MessageDelivered
    from ajoxi_async.contract.webhooks import MessageReceived as MessageReceived
    from ajoxi_async.contract.webhooks import RecordingReady as RecordingReady
    from ajoxi_async.contract.webhooks import TranscriptReady as TranscriptReady
    from ajoxi_async.contract.webhooks import UnknownEvent as UnknownEvent
    from ajoxi_async.contract.webhooks import Webhook as Webhook
    from ajoxi_async.contract.webhooks import WebhookStatus as WebhookStatus
    from ajoxi_async.contract.wire import Transport as Transport
    from ajoxi_async.hub.transcript_hub import TranscriptHub as TranscriptHub
    from ajoxi_async.hub.watcher import TranscriptWatcher as TranscriptWatcher
    from ajoxi_async.limits import Limiter as Limiter
    from ajoxi_async.limits import LimiterSnapshot as LimiterSnapshot
    from ajoxi_async.limits.local import LocalLimiter as LocalLimiter
    from ajoxi_async.pipeline.auth import ClientCredentials as ClientCredentials
    from ajoxi_async.pipeline.download import AudioStream as AudioStream
    from ajoxi_async.pipeline.hooks import Hooks as Hooks
    from ajoxi_async.pipeline.hooks import RateLimitedEvent as RateLimitedEvent
    from ajoxi_async.pipeline.hooks import RequestEvent as RequestEvent
    from ajoxi_async.pipeline.hooks import ResponseEvent as ResponseEvent
    from ajoxi_async.pipeline.hooks import RetryEvent as RetryEvent
    from ajoxi_async.pipeline.pager import Page as Page
    from ajoxi_async.pipeline.pager import Pager as Pager
    from ajoxi_async.pipeline.pipeline import AjoxiDeprecationWarning as AjoxiDeprecationWarning
    from ajoxi_async.protocol.assembly import TranscriptSnapshot as TranscriptSnapshot
    from ajoxi_async.protocol.assembly import Turn as Turn
    from ajoxi_async.protocol.errors import AjoxiError as AjoxiError
    from ajoxi_async.protocol.errors import APIConnectionError as APIConnectionError
    from ajoxi_async.protocol.errors import APIError as APIError
    from ajoxi_async.protocol.errors import APIResponseValidationError as APIResponseValidationError
    from ajoxi_async.protocol.errors import APIStatusError as APIStatusError
    from ajoxi_async.protocol.errors import APITimeoutError as APITimeoutError
    from ajoxi_async.protocol.errors import AuthenticationError as AuthenticationError
    from ajoxi_async.protocol.errors import BadRequestError as BadRequestError
    from ajoxi_async.protocol.errors import ClientClosedError as ClientClosedError
    from ajoxi_async.protocol.errors import ConfigurationError as ConfigurationError
    from ajoxi_async.protocol.errors import DownloadError as DownloadError
    from ajoxi_async.protocol.errors import DownloadFileError as DownloadFileError
    from ajoxi_async.protocol.errors import EventLogError as EventLogError
    from ajoxi_async.protocol.errors import InternalServerError as InternalServerError
    from ajoxi_async.protocol.errors import InvalidParameterError as InvalidParameterError
    from ajoxi_async.protocol.errors import NotFoundError as NotFoundError
    from ajoxi_async.protocol.errors import OutcomeUnknownError as OutcomeUnknownError
    from ajoxi_async.protocol.errors import PaginationError as PaginationError
    from ajoxi_async.protocol.errors import PermissionDeniedError as PermissionDeniedError
    from ajoxi_async.protocol.errors import RateLimitError as RateLimitError
    from ajoxi_async.protocol.errors import ReplayError as ReplayError
    from ajoxi_async.protocol.errors import StreamError as StreamError
    from ajoxi_async.protocol.errors import StreamInterruptedError as StreamInterruptedError
    from ajoxi_async.protocol.errors import StreamProtocolError as StreamProtocolError
    from ajoxi_async.protocol.errors import TranscriptGapError as TranscriptGapError
    from ajoxi_async.protocol.errors import UnprocessableEntityError as UnprocessableEntityError
    from ajoxi_async.protocol.errors import WaitTimeoutError as WaitTimeoutError
    from ajoxi_async.protocol.errors import WebhookSignatureError as WebhookSignatureError
    from ajoxi_async.protocol.rate import Permit as Permit
    from ajoxi_async.protocol.retry import RetryPolicy as RetryPolicy
    from ajoxi_async.resources.calls import Reconciliation as Reconciliation
    from ajoxi_async.sandbox import Sandbox as Sandbox
    from ajoxi_async.streaming.event_source import StreamStats as StreamStats
    from ajoxi_async.streaming.events import EventStream as EventStream
    from ajoxi_async.streaming.live import LiveTranscript as LiveTranscript
    from ajoxi_async.streaming.live import TranscriptEvents as TranscriptEvents
    from ajoxi_async.streaming.live_many import LiveTranscripts as LiveTranscripts
    from ajoxi_async.streaming.live_many import StreamItem as StreamItem
    from ajoxi_async.webhooks import SignedEvent as SignedEvent
    from ajoxi_async.webhooks import parse_event as parse_event
    from ajoxi_async.webhooks import parse_unverified_event as parse_unverified_event
    from ajoxi_async.webhooks import sign_event as sign_event
    from ajoxi_async.webhooks import verify_webhook as verify_webhook
    from ajoxi_async.webhooks.router import WebhookRouter as WebhookRouter

_WHERE = {
    "pipeline.auth": "ClientCredentials",
    "client": "AsyncAjoxi RawResponse",
    "contract.calls": "Call CallStatus Campaign Direction Disposition",
    "contract.masking_filter": "MaskingFilter",
    "contract.messages": "Channel Media Message MessageStatus",
    "contract.numbers": ("CallerId Capability Number NumberStatus NumberType Port Routing RoutingKind SmsConfig"),
    "contract.recordings": "Recording",
    "contract.sms_segments": "count_segments",
    "contract.transcripts": "Segment Speaker Transcript TranscriptStatus Word",
    "contract.webhooks": (
        "CallAnswered CallCompleted CallStarted Event EventType MessageDelivered MessageReceived RecordingReady "
        "TranscriptReady UnknownEvent Webhook WebhookStatus"
    ),
    "contract.wire": "Transport",
    "pipeline.download": "AudioStream",
    "streaming.event_source": "StreamStats",
    "streaming.events": "EventStream",
    "pipeline.hooks": "Hooks RateLimitedEvent RequestEvent ResponseEvent RetryEvent",
    "hub.transcript_hub": "TranscriptHub",
    "hub.watcher": "TranscriptWatcher",
    "limits": "Limiter LimiterSnapshot",
    "limits.local": "LocalLimiter",
    "streaming.live": "LiveTranscript TranscriptEvents",
    "streaming.live_many": "LiveTranscripts StreamItem",
    "pipeline.pager": "Page Pager",
    "pipeline.pipeline": "AjoxiDeprecationWarning",
    "protocol.assembly": "TranscriptSnapshot Turn",
    "protocol.errors": (
        "APIConnectionError APIError APIResponseValidationError APIStatusError APITimeoutError AjoxiError "
        "AuthenticationError BadRequestError ClientClosedError ConfigurationError DownloadError DownloadFileError EventLogError "
        "InternalServerError InvalidParameterError NotFoundError OutcomeUnknownError PaginationError PermissionDeniedError "
        "RateLimitError ReplayError StreamError StreamInterruptedError StreamProtocolError TranscriptGapError UnprocessableEntityError "
        "WaitTimeoutError WebhookSignatureError"
    ),
    "protocol.rate": "Permit",
    "protocol.retry": "RetryPolicy",
    "resources.calls": "Reconciliation",
    "sandbox": "Sandbox",
    "webhooks": "SignedEvent parse_event parse_unverified_event sign_event verify_webhook",
    "webhooks.router": "WebhookRouter",
}
_HOME = {name: module for module, names in _WHERE.items() for name in names.split()}

__version__: str = VERSION
__all__ = sorted(_HOME)  # noqa: PLE0605 - as long as the table above


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
