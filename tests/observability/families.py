"""The families that a server must tell, and their types, written down by hand."""

from __future__ import annotations

TRITON_OF_A_VERSION = {
    "nv_inference_request_success": "counter",
    "nv_inference_request_failure": "counter",
    "nv_inference_count": "counter",
    "nv_inference_exec_count": "counter",
    "nv_inference_request_duration_us": "counter",
    "nv_inference_queue_duration_us": "counter",
    "nv_inference_compute_input_duration_us": "counter",
    "nv_inference_compute_infer_duration_us": "counter",
    "nv_inference_compute_output_duration_us": "counter",
    "nv_inference_pending_request_count": "gauge",
}
"""What Triton 2.51 tells of each version without a GPU, with the labels model and version."""
NAIAD_OF_A_VERSION = {
    "naiad_request_duration_seconds": "histogram",
    "naiad_queue_duration_seconds": "histogram",
    "naiad_compute_duration_seconds": "histogram",
    "naiad_batch_size": "histogram",
    "naiad_queue_size": "gauge",
    "naiad_queue_limit": "gauge",
    "naiad_request_failures_total": "counter",
}
"""Ours of each version that serves."""
OF_A_PROCESS = {
    "process_virtual_memory_bytes": "gauge",
    "process_resident_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
}
"""What every client of Prometheus tells of its process."""
