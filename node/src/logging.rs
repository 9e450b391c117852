//! The log: fields, not sentences, on standard error, as text for people or JSON for machines.

use crate::config::LogConfig;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Why the filter is none.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    match EnvFilter::try_new(filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "{filter:?} is not a filter ({error}); write it as info or info,outrider_node=debug"
        )),
    }
}

/// What writes the log. The process decides whether it is the global one; a library never does.
///
/// A filter that cannot be parsed logs at `info`; a loaded configuration has none of those.
pub fn subscriber<W>(config: &LogConfig, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false);
    if config.format == "json" {
        Box::new(builder.json().flatten_event(true).finish())
    } else {
        Box::new(builder.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: &str, filter: &str) -> String {
        let config = LogConfig {
            format: format.to_owned(),
            filter: filter.to_owned(),
        };
        let written = Written::default();
        let writer = written.clone();
        let subscriber = subscriber(&config, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(height = 7, "committed");
            tracing::debug!("not at info");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn fields_are_json_members_and_the_filter_holds() {
        let line = logged("json", "info");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["height"], 7);
        assert_eq!(line["message"], "committed");
        assert!(logged("text", "debug").contains("not at info"));
        assert_eq!(logged("text", "off"), "");
    }
}
