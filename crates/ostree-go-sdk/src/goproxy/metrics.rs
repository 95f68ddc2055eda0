//! Counters of a module proxy, in the text format of Prometheus.
//!
//! Source of the format: <https://prometheus.io/docs/instrumenting/exposition_formats/>, "Text-based format".

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The prefix of all names.
const PREFIX: &str = "ostree_go_proxy_";

/// A counter of a module proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Metric {
    /// Answers, by the kind of the request and the HTTP status.
    Requests,
    /// Alerts, by their kind.
    Alerts,
    /// Files that were in the cache and unchanged.
    CacheHits,
    /// Files that were fetched from an upstream proxy.
    CacheMisses,
    /// Bytes of content that were sent to clients.
    SentBytes,
    /// Bytes that were received from upstream proxies.
    UpstreamBytes,
    /// Requests to upstream proxies that failed otherwise than with "not found".
    UpstreamErrors,
    /// Lookups in the checksum database.
    Lookups,
    /// Lookups that failed because the checksum database could not be reached.
    LookupErrors,
}

/// All counters, in the order of the file.
const ALL: [Metric; 9] = [
    Metric::Requests,
    Metric::Alerts,
    Metric::CacheHits,
    Metric::CacheMisses,
    Metric::SentBytes,
    Metric::UpstreamBytes,
    Metric::UpstreamErrors,
    Metric::Lookups,
    Metric::LookupErrors,
];

impl Metric {
    /// Returns the name without its prefix.
    const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests_total",
            Self::Alerts => "alerts_total",
            Self::CacheHits => "cache_hits_total",
            Self::CacheMisses => "cache_misses_total",
            Self::SentBytes => "sent_bytes_total",
            Self::UpstreamBytes => "upstream_received_bytes_total",
            Self::UpstreamErrors => "upstream_errors_total",
            Self::Lookups => "database_lookups_total",
            Self::LookupErrors => "database_errors_total",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Requests => "Answers, by the kind of the request and the HTTP status.",
            Self::Alerts => "Alerts, by their kind.",
            Self::CacheHits => "Files that were in the cache and unchanged.",
            Self::CacheMisses => "Files that were fetched from an upstream proxy.",
            Self::SentBytes => "Bytes of content that were sent to clients.",
            Self::UpstreamBytes => "Bytes that were received from upstream proxies.",
            Self::UpstreamErrors => {
                "Requests to upstream proxies that failed otherwise than with \"not found\"."
            }
            Self::Lookups => "Lookups in the checksum database.",
            Self::LookupErrors => {
                "Lookups that failed because the checksum database could not be reached."
            }
        }
    }
}

/// The values of labels, which have fixed names for each metric.
type Labels = (&'static str, &'static str);

/// The counters of a module proxy since its start. It is `Sync`.
#[derive(Debug, Default)]
pub struct Metrics {
    counters: Mutex<BTreeMap<(Metric, Labels), u64>>,
}

impl Metrics {
    /// Returns the sum of a counter over all of its labels.
    #[must_use]
    pub fn sum(&self, metric: Metric) -> u64 {
        let counters = self.counters();
        let of_metric = counters.iter().filter(|((one, _), _)| *one == metric);
        of_metric.map(|(_, value)| value).sum()
    }

    /// Returns the text for a file that Prometheus reads. Counters without labels are present from the start.
    #[must_use]
    pub fn text(&self) -> String {
        let counters = self.counters();
        let mut text = String::new();
        for metric in ALL {
            let name = metric.name();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {PREFIX}{name} {}", metric.help());
            let _ = writeln!(text, "# TYPE {PREFIX}{name} counter");
            if !matches!(metric, Metric::Requests | Metric::Alerts) {
                let value = counters.get(&(metric, ("", ""))).copied();
                let _ = writeln!(text, "{PREFIX}{name} {}", value.unwrap_or(0));
                continue;
            }
            for ((one, (first, second)), value) in &*counters {
                let labels = match one {
                    _ if *one != metric => continue,
                    Metric::Alerts => format!("kind=\"{first}\""),
                    _ => format!("file=\"{first}\",status=\"{second}\""),
                };
                let _ = writeln!(text, "{PREFIX}{name}{{{labels}}} {value}");
            }
        }
        text
    }

    pub(super) fn add(&self, metric: Metric, amount: u64) {
        self.add_labelled(metric, ("", ""), amount);
    }

    /// Adds to a counter with labels: the kind of a request and a status, or the kind of an alert and nothing.
    pub(super) fn add_labelled(&self, metric: Metric, labels: Labels, amount: u64) {
        *self.counters().entry((metric, labels)).or_default() += amount;
    }

    fn counters(&self) -> MutexGuard<'_, BTreeMap<(Metric, Labels), u64>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_all_counters() {
        let metrics = Metrics::default();
        metrics.add_labelled(Metric::Requests, ("zip", "200"), 2);
        metrics.add_labelled(Metric::Requests, ("zip", "403"), 1);
        metrics.add_labelled(Metric::Alerts, ("denied", ""), 1);
        metrics.add(Metric::SentBytes, 7);
        assert_eq!(metrics.sum(Metric::Requests), 3);
        insta::assert_snapshot!(metrics.text(), @r#"
        # HELP ostree_go_proxy_requests_total Answers, by the kind of the request and the HTTP status.
        # TYPE ostree_go_proxy_requests_total counter
        ostree_go_proxy_requests_total{file="zip",status="200"} 2
        ostree_go_proxy_requests_total{file="zip",status="403"} 1
        # HELP ostree_go_proxy_alerts_total Alerts, by their kind.
        # TYPE ostree_go_proxy_alerts_total counter
        ostree_go_proxy_alerts_total{kind="denied"} 1
        # HELP ostree_go_proxy_cache_hits_total Files that were in the cache and unchanged.
        # TYPE ostree_go_proxy_cache_hits_total counter
        ostree_go_proxy_cache_hits_total 0
        # HELP ostree_go_proxy_cache_misses_total Files that were fetched from an upstream proxy.
        # TYPE ostree_go_proxy_cache_misses_total counter
        ostree_go_proxy_cache_misses_total 0
        # HELP ostree_go_proxy_sent_bytes_total Bytes of content that were sent to clients.
        # TYPE ostree_go_proxy_sent_bytes_total counter
        ostree_go_proxy_sent_bytes_total 7
        # HELP ostree_go_proxy_upstream_received_bytes_total Bytes that were received from upstream proxies.
        # TYPE ostree_go_proxy_upstream_received_bytes_total counter
        ostree_go_proxy_upstream_received_bytes_total 0
        # HELP ostree_go_proxy_upstream_errors_total Requests to upstream proxies that failed otherwise than with "not found".
        # TYPE ostree_go_proxy_upstream_errors_total counter
        ostree_go_proxy_upstream_errors_total 0
        # HELP ostree_go_proxy_database_lookups_total Lookups in the checksum database.
        # TYPE ostree_go_proxy_database_lookups_total counter
        ostree_go_proxy_database_lookups_total 0
        # HELP ostree_go_proxy_database_errors_total Lookups that failed because the checksum database could not be reached.
        # TYPE ostree_go_proxy_database_errors_total counter
        ostree_go_proxy_database_errors_total 0
        "#);
    }
}
