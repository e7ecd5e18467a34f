"""Series of the real shape for each entry of the catalogue: what its instrumentation exposes, as Prometheus stores it.

A counter's number is how much it grows in 30 seconds; a gauge's is its value. Each entry also has traffic that must not
count: health checks, other services, other reporters. It is far more than the rest, so counting it would be seen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

STEP = 30.0
Labels = dict[str, str]


@dataclass(frozen=True)
class Series:
    """One series; ``growing``: its value is added every step."""

    labels: Labels
    value: float
    growing: bool = True


@dataclass(frozen=True)
class Shape:
    """What one instrumentation exposes."""

    series: tuple[Series, ...]
    traffic: float
    """Events a second that the first objective's total must count."""


_LABEL = re.compile(r'(\w+)="([^"]*)"')
_PODS = ("checkout-6d5f7c9b8d-x2x4k", "checkout-6d5f7c9b8d-p9q8r")
_CLASSIC = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
_MILLISECONDS = (
    "5",
    "10",
    "25",
    "50",
    "75",
    "100",
    "250",
    "500",
    "750",
    "1000",
    "2500",
    "5000",
    "7500",
    "10000",
    "+Inf",
)
_ENVOY = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "+Inf")


def _labels(text: str) -> Labels:
    return dict(_LABEL.findall(text))


def _counters(name: str, *rows: tuple[str, float]) -> Iterator[Series]:
    for labels, value in rows:
        yield Series({"__name__": name, **_labels(labels)}, value)


def _gauge(name: str, labels: str, value: float) -> Series:
    return Series({"__name__": name, **_labels(labels)}, value, growing=False)


def _histogram(name: str, edges: tuple[str, ...], limit: float, *rows: tuple[str, float]) -> Iterator[Series]:
    """A classic histogram; 99.8 % of what is counted is below ``limit``."""
    for labels, count in rows:
        common = _labels(labels)
        yield Series({"__name__": f"{name}_count", **common}, count)
        yield Series({"__name__": f"{name}_sum", **common}, count * limit / 4)
        for edge in edges:
            share = 1.0 if edge == "+Inf" else 0.998 if float(edge) >= limit else 0.5
            yield Series({"__name__": f"{name}_bucket", **common, "le": edge}, count * share)


def _on_pods(*rows: tuple[str, float]) -> list[tuple[str, float]]:
    """Rows of two pods, with the labels that a ServiceMonitor's scrape adds."""
    scraped = 'namespace="shop",job="checkout",service="checkout",endpoint="http",container="app"'
    return [
        (f'{labels},{scraped},pod="{pod}",instance="10.0.0.{number}:8080"', value)
        for (labels, value), (number, pod) in product(rows, enumerate(_PODS))
    ]


def _elsewhere(labels: str, value: float) -> tuple[str, float]:
    return (
        f'{labels},namespace="shop",job="cart",service="cart",pod="cart-7f-abcde",instance="10.0.0.9:8080"',
        value,
    )


def _prometheus_client() -> Shape:
    rows = _on_pods(
        ('code="200",method="get",handler="/cart"', 300),
        ('code="500",method="get",handler="/cart"', 0.3),
        ('code="200",method="get",handler="/healthz"', 30000),
        ('code="200",method="get",handler="/metrics"', 30000),
    )
    rows.append(_elsewhere('code="500",method="get",handler="/"', 30000))
    series = (
        *_counters("http_requests_total", *rows),
        *_histogram("http_request_duration_seconds", _CLASSIC, 0.5, *rows),
    )
    return Shape(series, 20.02)


def _promhttp() -> Shape:
    rows = _on_pods(('code="200",method="get"', 300), ('code="502",method="post"', 0.3))
    rows.append(_elsewhere('code="500",method="get"', 30000))
    series = (
        *_counters("http_requests_total", *rows),
        *_counters("promhttp_metric_handler_requests_total", *_on_pods(('code="200"', 30000))),
        *_histogram("http_request_duration_seconds", _CLASSIC, 0.5, *rows),
    )
    return Shape(series, 20.02)


def _otel_http() -> Shape:
    sent = 'job="shop/checkout",instance="0e1f-checkout-1",http_request_method="GET",url_scheme="http"'
    rows = (
        (f'{sent},http_response_status_code="200",http_route="/cart/{{id}}"', 600.0),
        (f'{sent},http_response_status_code="503",http_route="/cart/{{id}}",error_type="503"', 0.6),
        (f'{sent},http_response_status_code="200",http_route="/readyz"', 30000.0),
        ('job="shop/cart",instance="9",http_response_status_code="500",http_route="/"', 30000.0),
    )
    edges = (
        "0.005",
        "0.01",
        "0.025",
        "0.05",
        "0.075",
        "0.1",
        "0.25",
        "0.5",
        "0.75",
        "1",
        "2.5",
        "5",
        "7.5",
        "10",
        "+Inf",
    )
    return Shape(tuple(_histogram("http_server_request_duration_seconds", edges, 0.5, *rows)), 20.02)


def _micrometer() -> Shape:
    rows = _on_pods(
        ('exception="none",method="GET",outcome="SUCCESS",status="200",uri="/cart/{id}"', 300),
        ('exception="IllegalState",method="GET",outcome="SERVER_ERROR",status="500",uri="/cart/{id}"', 0.3),
        ('exception="none",method="GET",outcome="SUCCESS",status="200",uri="/actuator/health"', 30000),
        ('exception="none",method="GET",outcome="SUCCESS",status="200",uri="/actuator/prometheus"', 30000),
    )
    return Shape(tuple(_histogram("http_server_requests_seconds", ("0.5", "+Inf"), 0.5, *rows)), 20.02)


def _grpc_go() -> Shape:
    rows = _on_pods(
        ('grpc_code="OK",grpc_method="Pay",grpc_service="shop.Checkout",grpc_type="unary"', 300),
        ('grpc_code="NotFound",grpc_method="Pay",grpc_service="shop.Checkout",grpc_type="unary"', 30),
        ('grpc_code="Internal",grpc_method="Pay",grpc_service="shop.Checkout",grpc_type="unary"', 0.3),
        ('grpc_code="OK",grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"', 30000),
    )
    durations = [(re.sub(r'grpc_code="\w+",', "", labels), value) for labels, value in rows if 'code="OK"' in labels]
    series = (
        *_counters("grpc_server_handled_total", *rows),
        *_histogram("grpc_server_handling_seconds", _CLASSIC, 0.5, *durations),
    )
    return Shape(series, 22.02)


def _grpc_otel() -> Shape:
    sent = 'job="shop/checkout",instance="0e1f",rpc_system="grpc"'
    rows = (
        (f'{sent},rpc_grpc_status_code="0",rpc_method="Pay",rpc_service="shop.Checkout"', 600.0),
        (f'{sent},rpc_grpc_status_code="5",rpc_method="Pay",rpc_service="shop.Checkout"', 60.0),
        (f'{sent},rpc_grpc_status_code="13",rpc_method="Pay",rpc_service="shop.Checkout"', 0.6),
        (f'{sent},rpc_grpc_status_code="0",rpc_method="Check",rpc_service="grpc.health.v1.Health"', 30000.0),
    )
    return Shape(tuple(_histogram("rpc_server_duration_milliseconds", _MILLISECONDS, 500, *rows)), 22.02)


def _ingress() -> Shape:
    scraped = 'namespace="ingress-nginx",pod="controller-1",service="controller-metrics",job="controller-metrics"'
    own = f'{scraped},exported_namespace="shop",ingress="checkout",exported_service="checkout",path="/"'
    other = f'{scraped},exported_namespace="shop",ingress="cart",exported_service="cart",path="/c"'
    rows = (
        (f'{own},method="GET",status="200"', 600.0),
        (f'{own},method="GET",status="502"', 0.6),
        (f'{other},method="GET",status="502"', 30000.0),
    )
    series = (
        *_counters("nginx_ingress_controller_requests", *rows),
        *_histogram("nginx_ingress_controller_request_duration_seconds", _CLASSIC, 0.5, *rows),
    )
    return Shape(series, 20.02)


def _istio() -> Shape:
    mesh = 'destination_workload="checkout",destination_workload_namespace="shop",destination_service_name="checkout"'
    pod = f'namespace="shop",pod="{_PODS[0]}",request_protocol="http",response_flags="-",source_workload="cart"'
    rows = (
        (f'reporter="destination",{mesh},{pod},response_code="200"', 600.0),
        (f'reporter="destination",{mesh},{pod},response_code="500"', 0.6),
        (f'reporter="source",{mesh},{pod},response_code="503"', 30000.0),
    )
    series = (
        *_counters("istio_requests_total", *rows),
        *_histogram("istio_request_duration_milliseconds", _ENVOY, 500, *rows),
    )
    return Shape(series, 20.02)


def _envoy() -> Shape:
    scraped = 'namespace="envoy-gateway-system",pod="envoy-shop-1",job="envoy-gateway-system/envoy-proxy"'
    own, other = (f'envoy_cluster_name="httproute/shop/{name}/rule/0"' for name in ("checkout", "checkout-admin"))
    rows = (
        (f'{own},{scraped},envoy_response_code_class="2"', 600.0),
        (f'{own},{scraped},envoy_response_code_class="5"', 0.6),
        (f'{other},{scraped},envoy_response_code_class="5"', 30000.0),
    )
    times = ((f"{own},{scraped}", 600.6), (f"{other},{scraped}", 30000.0))
    series = (
        *_counters("envoy_cluster_upstream_rq_xx", *rows),
        *_histogram("envoy_cluster_upstream_rq_time", _ENVOY, 500, *times),
    )
    return Shape(series, 20.02)


def _kafka() -> Shape:
    listener = 'name="org.springframework.kafka.KafkaListenerEndpointContainer#0-0"'
    rows = _on_pods(
        (f'{listener},result="success",exception="none"', 300),
        (f'{listener},result="failure",exception="ListenerExecutionFailedException"', 0.3),
    )
    lag = _gauge(
        "kafka_consumergroup_lag", 'consumergroup="checkout",topic="orders",partition="0",job="kafka-exporter"', 12
    )
    return Shape((*_counters("spring_kafka_listener_seconds_count", *rows), lag), 20.02)


def _rabbitmq() -> Shape:
    broker = 'job="rabbitmq",instance="10.0.1.1:15692",pod="rabbitmq-0"'
    own, other = (f'{broker},channel="<0.{n}.0>",queue="{q}",vhost="shop"' for n, q in ((1, "checkout"), (2, "mail")))
    ready = _gauge("rabbitmq_queue_messages_ready", f'{broker},queue="checkout",vhost="shop"', 3)
    series = (
        *_counters("rabbitmq_channel_messages_delivered_ack_total", (own, 600.0), (other, 30000.0)),
        *_counters("rabbitmq_channel_messages_redelivered_total", (own, 0.6), (other, 30000.0)),
        ready,
    )
    return Shape(series, 20.0)


def _celery() -> Shape:
    exporter = 'job="celery-exporter",instance="10.0.1.2:9808"'
    own = f'{exporter},name="shop.pay",hostname="worker-1",queue_name="checkout"'
    other = f'{exporter},name="shop.mail",hostname="worker-1",queue_name="mail"'
    series = (
        *_counters("celery_task_succeeded_total", (own, 600.0), (other, 30000.0)),
        *_counters("celery_task_failed_total", (f'{own},exception="KeyError"', 0.6)),
        _gauge("celery_queue_length", f'{exporter},queue_name="checkout"', 2),
    )
    return Shape(series, 20.02)


def _sqs() -> Shape:
    sent = 'job="shop/checkout",instance="0e1f",messaging_system="aws_sqs"'
    rows = (
        (f'{sent},messaging_destination_name="checkout"', 600.0),
        (f'{sent},messaging_destination_name="checkout",error_type="Timeout"', 0.6),
        (f'{sent},messaging_destination_name="mail"', 30000.0),
    )
    age = _gauge("aws_sqs_approximate_age_of_oldest_message_maximum", 'job="yace",dimension_QueueName="checkout"', 4)
    return Shape((*_histogram("messaging_process_duration_seconds", _CLASSIC, 0.5, *rows), age), 20.02)


def _saturation() -> Shape:
    series: list[Series] = []
    for pod in (*_PODS, "checkout-worker-6d5f7c9b8d-x2x4k"):
        much = 1.0 if pod in _PODS else 1000.0
        state = f'namespace="shop",pod="{pod}",container="app",job="kube-state-metrics",uid="u-{pod}"'
        cadvisor = (
            f'namespace="shop",pod="{pod}",container="app",job="kubelet",metrics_path="/metrics/cadvisor",node="n1"'
        )
        series += [
            Series({"__name__": "kube_pod_container_status_restarts_total", **_labels(state)}, 0.0),
            *_counters("container_cpu_cfs_periods_total", (cadvisor, 300.0 * much)),
            *_counters("container_cpu_cfs_throttled_periods_total", (cadvisor, 3.0 * much)),
            _gauge("container_memory_working_set_bytes", cadvisor, 2e8 * much),
            _gauge("container_spec_memory_limit_bytes", cadvisor, 5e8),
        ]
    return Shape(tuple(series), 0.0)


SHAPES = {
    "http-prometheus-client": _prometheus_client(),
    "http-go-promhttp": _promhttp(),
    "http-opentelemetry": _otel_http(),
    "http-micrometer-spring": _micrometer(),
    "grpc-go-middleware": _grpc_go(),
    "grpc-opentelemetry": _grpc_otel(),
    "ingress-nginx": _ingress(),
    "istio": _istio(),
    "envoy-gateway": _envoy(),
    "queue-kafka": _kafka(),
    "queue-rabbitmq": _rabbitmq(),
    "queue-celery": _celery(),
    "queue-sqs": _sqs(),
    "saturation": _saturation(),
}
