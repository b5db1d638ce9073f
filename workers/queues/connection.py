"""Connections to Redis or Valkey, and the names of the queues."""

from enum import StrEnum

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.retry import Retry


class QueueName(StrEnum):
    """The queues. A worker serves exactly one."""

    SLACK = "slack"  # downloads and answers; carried out by the notifier, which has the token
    CPU = "cpu"  # checking datasets, evaluation
    CLOUD = "cloud"  # vendors: submit and poll, each within seconds
    GPU = "gpu"  # local training; a worker is a slot


def connect(url: str) -> Redis:
    """A connection for loops: it mends itself over some seconds, and the loop tries again after that."""
    return Redis.from_url(
        url,
        retry=Retry(ExponentialWithJitterBackoff(base=0.1, cap=1.0), 4),
        health_check_interval=30,
        socket_connect_timeout=3.0,
        socket_timeout=5.0,
    )


def connect_briefly(url: str, seconds: float) -> Redis:
    """A connection for whoever must not wait: each step gives up after `seconds`, without a second try."""
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=seconds, socket_timeout=seconds)
