//! Charts over the seconds of a run, as SVG. Colours come from the page's style, so that a chart is light or dark with
//! it. Pointing at a second shows its values.

use std::fmt::Write;

/// One chart over time.
pub(super) struct Chart<'a> {
    /// What the numbers are: `events/s`, `ms`.
    pub unit: &'a str,
    pub series: Vec<Series>,
    pub scale: Scale,
    /// A dashed line across, with its name: what was asked for.
    pub reference: Option<(&'a str, f64)>,
    /// The classes that the series are coloured by: `c` for things of different kind, `o` for steps of one kind.
    pub colours: char,
}

/// One value a second.
pub(super) struct Series {
    pub name: String,
    pub values: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten; for values that differ by orders of magnitude.
    Logarithmic,
    /// From zero, each series on top of the ones before it.
    Stacked,
}

impl Chart<'_> {
    /// The chart with its legend.
    pub(super) fn render(&self) -> String {
        let seconds = self.series.iter().map(|series| series.values.len()).max().unwrap_or(0);
        let plot = Plot { axis: self.axis(), seconds };
        let mut out = String::from("<div class=legend>");
        for (index, series) in self.series.iter().enumerate() {
            push(&mut out, format_args!("<span><i class={}{index}></i>{}</span>", self.colours, escape(&series.name)));
        }
        if let Some((name, _)) = self.reference {
            push(&mut out, format_args!("<span><i class=dash></i>{name}</span>"));
        }
        push(&mut out, format_args!("</div><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img>"));
        self.draw_grid(&plot, &mut out);
        match self.scale {
            Scale::Stacked => self.draw_areas(&plot, &mut out),
            Scale::Linear | Scale::Logarithmic => self.draw_lines(&plot, &mut out),
        }
        if let Some((_, value)) = self.reference {
            let y = plot.y(value);
            push(&mut out, format_args!("<path class=dash d=\"M{LEFT} {y:.1}H{RIGHT}\"/>"));
        }
        self.draw_tips(&plot, &mut out);
        out + "</svg>"
    }

    fn axis(&self) -> Axis {
        let sums = (0..self.series.iter().map(|series| series.values.len()).max().unwrap_or(0))
            .map(|second| self.series.iter().filter_map(|series| series.values.get(second)).sum::<f64>());
        let values = self.series.iter().flat_map(|series| series.values.iter().copied());
        let reference = self.reference.map(|(_, value)| value);
        match self.scale {
            Scale::Stacked => Axis::linear(sums.fold(0.0, f64::max)),
            Scale::Linear => Axis::linear(values.chain(reference).fold(0.0, f64::max)),
            Scale::Logarithmic => Axis::logarithmic(values.filter(|value| *value > 0.0)),
        }
    }

    fn draw_grid(&self, plot: &Plot, out: &mut String) {
        for tick in &plot.axis.ticks {
            let y = plot.y(*tick);
            push(out, format_args!("<path class=grid d=\"M{LEFT} {y:.1}H{RIGHT}\"/>"));
            push(out, format_args!("<text class=y x={} y={:.1}>{}</text>", LEFT - 8.0, y + 4.0, short(*tick)));
        }
        let step = nice(plot.seconds as f64 / 8.0).max(1.0);
        for n in 0.. {
            let second = n as f64 * step;
            if second > plot.seconds as f64 {
                break;
            }
            push(out, format_args!("<text class=x x={:.1} y={}>{second} s</text>", plot.x(second), HEIGHT - 6.0));
        }
        push(out, format_args!("<text class=unit x={LEFT} y=12>{}</text>", self.unit));
    }

    fn draw_lines(&self, plot: &Plot, out: &mut String) {
        for (index, series) in self.series.iter().enumerate() {
            let mut path = String::new();
            let mut pen = 'M';
            for (second, value) in series.values.iter().enumerate() {
                // On a logarithmic scale nothing is no value.
                if self.scale == Scale::Logarithmic && *value <= 0.0 {
                    pen = 'M';
                    continue;
                }
                push(&mut path, format_args!("{pen}{:.1} {:.1}", plot.x(second as f64 + 0.5), plot.y(*value)));
                pen = 'L';
            }
            push(out, format_args!("<path class=\"line {}{index}\" d=\"{path}\"/>", self.colours));
        }
    }

    fn draw_areas(&self, plot: &Plot, out: &mut String) {
        let mut below = vec![0.0; plot.seconds];
        for (index, series) in self.series.iter().enumerate() {
            let above: Vec<f64> =
                below.iter().enumerate().map(|(s, low)| low + series.values.get(s).copied().unwrap_or(0.0)).collect();
            let mut path = String::new();
            for (second, value) in above.iter().enumerate() {
                let (pen, y) = (if second == 0 { 'M' } else { 'L' }, plot.y(*value));
                let (from, to) = (plot.x(second as f64), plot.x(second as f64 + 1.0));
                push(&mut path, format_args!("{pen}{from:.1} {y:.1}H{to:.1}"));
            }
            for (second, value) in below.iter().enumerate().rev() {
                push(&mut path, format_args!("L{:.1} {:.1}", plot.x(second as f64 + 1.0), plot.y(*value)));
                push(&mut path, format_args!("H{:.1}", plot.x(second as f64)));
            }
            push(out, format_args!("<path class=\"area {}{index}\" d=\"{path}Z\"/>", self.colours));
            below = above;
        }
    }

    /// A strip over each second, with its values as a tooltip.
    fn draw_tips(&self, plot: &Plot, out: &mut String) {
        for second in 0..plot.seconds {
            let (from, to) = (plot.x(second as f64), plot.x(second as f64 + 1.0));
            let width = to - from;
            push(out, format_args!("<rect class=tip x={from:.1} y={TOP} width={width:.1} height={}>", BOTTOM - TOP));
            push(out, format_args!("<title>second {}", second + 1));
            for series in &self.series {
                let value = series.values.get(second).copied().unwrap_or(0.0);
                push(out, format_args!("\n{}: {} {}", escape(&series.name), short(value), self.unit));
            }
            out.push_str("</title></rect>");
        }
    }
}

/// Where values lie.
struct Plot {
    axis: Axis,
    seconds: usize,
}

impl Plot {
    fn x(&self, second: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * second / self.seconds.max(1) as f64
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * self.axis.fraction(value).clamp(0.0, 1.0)
    }
}

/// The values that are marked; the first and the last are the ends.
struct Axis {
    ticks: Vec<f64>,
    is_logarithmic: bool,
}

impl Axis {
    fn linear(max: f64) -> Axis {
        let step = nice(max / 4.0);
        let steps = (max / step).ceil().max(1.0) as u32;
        Axis { ticks: (0..=steps).map(|n| f64::from(n) * step).collect(), is_logarithmic: false }
    }

    fn logarithmic(values: impl Iterator<Item = f64>) -> Axis {
        let exponents = values.map(f64::log10).fold(None, |range: Option<(f64, f64)>, exponent| {
            let (min, max) = range.unwrap_or((exponent, exponent));
            Some((min.min(exponent), max.max(exponent)))
        });
        let (min, max) = exponents.unwrap_or((0.0, 1.0));
        let (min, max) = (min.floor() as i32, (max.ceil() as i32).max(min.floor() as i32 + 1));
        Axis { ticks: (min..=max).map(|exponent| 10f64.powi(exponent)).collect(), is_logarithmic: true }
    }

    fn fraction(&self, value: f64) -> f64 {
        let (min, max) = (self.ticks[0], self.ticks[self.ticks.len() - 1]);
        match self.is_logarithmic {
            true => (value / min).log10() / (max / min).log10(),
            false => value / max,
        }
    }
}

/// The least of 1, 2, 5, 10, 20, 50 ... (or 0.5, 0.2 ...) that is not below a number.
fn nice(number: f64) -> f64 {
    if number <= 0.0 {
        return 1.0;
    }
    let magnitude = 10f64.powf(number.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * magnitude >= number * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * magnitude
}

/// A number with its thousands as k or M: `204.8k`, `12`, `0.05`.
fn short(number: f64) -> String {
    let (scaled, suffix) = match number.abs() {
        n if n >= 1e6 => (number / 1e6, "M"),
        n if n >= 1e3 => (number / 1e3, "k"),
        _ => (number, ""),
    };
    let decimals = if scaled.abs() >= 100.0 || scaled.fract() == 0.0 {
        0
    } else if scaled.abs() >= 1.0 {
        1
    } else {
        2
    };
    format!("{scaled:.decimals$}{suffix}")
}

/// Text for HTML and SVG, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(arguments);
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = HEIGHT - 26.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers_that_hold_everything() {
        assert_eq!(Axis::linear(204_800.0).ticks, [0.0, 100_000.0, 200_000.0, 300_000.0]);
        assert_eq!(Axis::linear(0.0).ticks, [0.0, 1.0]);
        assert_eq!(Axis::linear(80.0).ticks, [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(Axis::logarithmic([0.5, 30.0].into_iter()).ticks, [0.1, 1.0, 10.0, 100.0]);
        assert_eq!(Axis::logarithmic([10.0].into_iter()).ticks, [10.0, 100.0]);
        assert_eq!(Axis::logarithmic(std::iter::empty()).ticks, [1.0, 10.0]);
        assert!((Axis::logarithmic([0.5, 30.0].into_iter()).fraction(1.0) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_are_short() {
        let cases =
            [(0.0, "0"), (0.05, "0.05"), (12.0, "12"), (3.25, "3.2"), (204_800.0, "205k"), (1_500_000.0, "1.5M")];
        for (number, expected) in cases {
            assert_eq!(short(number), expected);
        }
    }

    #[test]
    fn a_chart_of_nothing_is_a_chart() {
        for scale in [Scale::Linear, Scale::Logarithmic, Scale::Stacked] {
            let chart = Chart { unit: "ms", series: Vec::new(), scale, reference: None, colours: 'c' }.render();
            assert!(chart.ends_with("</svg>") && !chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }

    #[test]
    fn names_cannot_become_markup() {
        let series = vec![Series { name: "<b>".to_owned(), values: vec![1.0, 0.0, 2.0] }];
        let chart = Chart { unit: "ms", series, scale: Scale::Stacked, reference: None, colours: 'c' }.render();
        assert!(chart.contains("&lt;b&gt;") && !chart.contains("<b>"));
        assert_eq!(chart.matches("<rect").count(), 3);
    }
}
