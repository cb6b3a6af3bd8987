//! The living table: one row per device, and below it what people read and do.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Stdout, stdout};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, Wrap};

use crate::demo::show::{line, loud, shown};
use crate::demo::stories::Story;
use crate::demo::watch::Watch;
use crate::domain::notice::{ChecklistLine, Kind, LineState, Notice};
use crate::service::runner::Told;

/// Lines of the log that are kept: more than any terminal shows.
const LOG_LINES_MAX: usize = 200;

pub struct Live {
    terminal: Option<Terminal<CrosstermBackend<Stdout>>>,
    stories: Vec<Story>,
    rows: HashMap<String, Shown>,
    log: VecDeque<String>,
}

/// One row.
#[derive(Default)]
struct Shown {
    phase: String,
    checks: String,
    checklist: String,
    /// The newest words about it: a headline, or what the device does.
    words: String,
}

impl Live {
    /// Takes the screen; `None` where the terminal cannot be one.
    pub fn open(stories: &[Story]) -> Option<Self> {
        let mut live = Self {
            terminal: None,
            stories: stories.to_vec(),
            rows: HashMap::new(),
            log: VecDeque::new(),
        };
        execute!(stdout(), EnterAlternateScreen, Hide).ok()?;
        match Terminal::new(CrosstermBackend::new(stdout())) {
            Ok(terminal) => {
                live.terminal = Some(terminal);
                Some(live)
            }
            Err(_) => {
                let _ = leave();
                None
            }
        }
    }

    pub fn told(&mut self, told: &Told, notice: Option<&Notice>, seconds: f64) {
        let run = &told.run;
        let row = self.rows.entry(run.device.clone()).or_default();
        run.phase.name().clone_into(&mut row.phase);
        let (proven, planned) = run.score();
        if planned > 0 {
            row.checks = format!("{proven}/{planned}");
        }
        let Some(notice) = notice else { return };
        row.checklist = notice.checklist.iter().map(sign).collect();
        if !notice.headline.is_empty() {
            row.words = shown(&notice.headline);
        }
        if notice.kind != Kind::Progress {
            let text = loud(notice);
            self.log(seconds, &notice.device, &text);
        }
    }

    /// What the device does is shown until somebody has words about it.
    pub fn simulated(&mut self, device: &str, text: &str) {
        let row = self.rows.entry(device.to_owned()).or_default();
        if row.phase.is_empty() {
            row.words = shown(text);
        }
    }

    pub fn log(&mut self, seconds: f64, device: &str, text: &str) {
        if self.log.len() == LOG_LINES_MAX {
            self.log.pop_front();
        }
        self.log.push_back(line(seconds, device, &shown(text)));
    }

    pub fn draw(&mut self, watch: &Watch, seconds: f64) {
        let Some(mut terminal) = self.terminal.take() else { return };
        let drawn = terminal.draw(|frame| self.frame(frame, watch, seconds)).is_ok();
        // A terminal that went away is not drawn on again.
        self.terminal = drawn.then_some(terminal);
    }

    /// Gives the screen back.
    pub fn close(&mut self) {
        if self.terminal.take().is_some() {
            let _ = leave();
        }
    }

    fn frame(&self, frame: &mut ratatui::Frame<'_>, watch: &Watch, seconds: f64) {
        let height = u16::try_from(self.stories.len()).unwrap_or(u16::MAX).saturating_add(3);
        let [above, below] =
            Layout::vertical([Constraint::Length(height), Constraint::Min(3)]).areas(frame.area());
        let green = self
            .stories
            .iter()
            .filter(|story| watch.of(&story.device).is_some_and(|seen| seen.phase == "ready"));
        let title = format!(
            " Greenlight demo: {} of {} green, {seconds:.0} s ",
            green.count(),
            self.stories.len()
        );
        let widths = [
            Constraint::Length(10),
            Constraint::Length(11),
            Constraint::Length(13),
            Constraint::Length(6),
            Constraint::Length(6),
            Constraint::Fill(1),
        ];
        let header = Row::new(["device", "platform", "phase", "steps", "checks", "last words"]);
        let rows = self.stories.iter().map(|story| self.row(story));
        let table = Table::new(rows, widths)
            .header(header.style(Style::new().bold()))
            .block(Block::new().borders(Borders::TOP).title(title));
        frame.render_widget(table, above);
        let room = usize::from(below.height.saturating_sub(1));
        let lines: Vec<Line<'_>> = self
            .log
            .iter()
            .skip(self.log.len().saturating_sub(room))
            .map(|text| Line::raw(text.as_str()))
            .collect();
        let title = " what people read, and what they do ";
        let log = Paragraph::new(lines)
            .wrap(Wrap { trim: false })
            .block(Block::new().borders(Borders::TOP).title(title));
        frame.render_widget(log, below);
    }

    fn row(&self, story: &Story) -> Row<'_> {
        let empty = || vec![story.device.clone(), story.kind.id().to_owned()];
        let Some(row) = self.rows.get(&story.device) else { return Row::new(empty()) };
        let colour = match row.phase.as_str() {
            "ready" => Color::Green,
            "action_needed" => Color::Yellow,
            "failed" | "cancelled" => Color::Red,
            _ => Color::Reset,
        };
        let mut cells = empty();
        for text in [&row.phase, &row.checklist, &row.checks, &row.words] {
            cells.push(text.clone());
        }
        Row::new(cells).style(Style::new().fg(colour))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.close();
    }
}

fn leave() -> io::Result<()> {
    execute!(stdout(), Show, LeaveAlternateScreen)
}

/// One letter per step, readable without colours.
fn sign(line: &ChecklistLine) -> char {
    match line.state {
        LineState::Done => '✓',
        LineState::Working => '>',
        LineState::Waiting => '.',
        LineState::Attention => '!',
    }
}
