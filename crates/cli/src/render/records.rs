//! Results as records for scripts: JSON lines with a final summary, or CSV.

use std::io::{self, Write};

use serde::Serialize;

use super::json;
use crate::args::Format;

/// Writes one record per line; in JSON, the summary is the last line. Writes nothing for formats without
/// records.
pub(crate) fn write<R: Serialize + Default, S: Serialize>(
    out: &mut impl Write,
    format: Format,
    records: impl IntoIterator<Item = R>,
    summary: &S,
) -> io::Result<()> {
    part(out, format, records, true)?;
    end(out, format, summary)
}

/// Writes some records of many, after the header if they are the `first`. Writes nothing for formats without records.
pub(crate) fn part<R: Serialize + Default>(
    out: &mut impl Write,
    format: Format,
    records: impl IntoIterator<Item = R>,
    first: bool,
) -> io::Result<()> {
    match format {
        Format::Text | Format::Html => Ok(()),
        Format::Json => records.into_iter().try_for_each(|record| json::line(out, &record)),
        Format::Csv => {
            if first {
                // The header is written even without records.
                out.write_all(header::<R>()?.as_bytes())?;
            }
            let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(out);
            for record in records {
                csv.serialize(record)?;
            }
            csv.flush()
        }
    }
}

/// Writes the end: in JSON, the summary.
pub(crate) fn end(out: &mut impl Write, format: Format, summary: &impl Serialize) -> io::Result<()> {
    if format == Format::Json { json::line(out, &Closing { summary }) } else { Ok(()) }
}

/// The last line of a result.
#[derive(Serialize)]
struct Closing<'a, S> {
    summary: &'a S,
}

fn header<R: Serialize + Default>() -> io::Result<String> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.serialize(R::default())?;
    let bytes = csv.into_inner().map_err(csv::IntoInnerError::into_error)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().next().map(|line| format!("{line}\n")).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use notifier::report::Line;

    use super::*;

    fn written(format: Format, lines: &[Line<'_>]) -> String {
        let mut out = Vec::new();
        write(&mut out, format, lines.iter().cloned(), &7).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_has_the_columns_of_json_and_a_header_even_without_rows() {
        let header = "broadcast,account,region,cluster,service,task,container,address,outcome,reason,attempts,status,latency_ms,cause,advice,zone\n";
        assert_eq!(written(Format::Csv, &[]), header);
        let line = Line {
            service: Some("a,b"),
            reason: Some("said \"no\"".into()),
            status: Some(403),
            ..Line::default()
        };
        assert_eq!(
            written(Format::Csv, std::slice::from_ref(&line)),
            format!("{header},,,,\"a,b\",,,,,\"said \"\"no\"\"\",,403,,,,\n")
        );
        let json = written(Format::Json, &[line]);
        let keys: Vec<_> =
            header.trim().split(',').map(|column| json.find(&format!("\"{column}\":"))).collect();
        assert!(keys.is_sorted() && keys.iter().all(Option::is_some), "{json}");
        assert!(json.ends_with("}\n{\"summary\":7}\n"), "{json}");
    }
}
