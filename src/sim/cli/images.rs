//! The commands by which a box comes to other software: IOS and EOS each in its own words.

use crate::sim::chassis::Kind;
use crate::sim::cli::Answer;
use crate::sim::flash::Stored;
use crate::sim::inside::View;

/// What a privileged session gets for this line, if it is one of these commands.
pub fn answer(view: &View, command: &str) -> Option<Answer> {
    let words: Vec<&str> = command.split(' ').collect();
    match (view.chassis.kind, words.as_slice()) {
        (Kind::Frr, _) => None,
        (_, ["copy", url, to]) if url.contains("://") => {
            let file = to.strip_prefix("flash:")?.trim_start_matches('/');
            Some(Answer::Copy { url: (*url).to_owned(), file: file.to_owned() })
        }
        (Kind::CiscoIos, ["verify", "/md5", file, wanted]) => {
            Some(Answer::Text(verified(view, file, wanted)))
        }
        (Kind::AristaEos, ["verify", "/md5", file]) => Some(Answer::Text(digest(view, file))),
        (Kind::CiscoIos, ["show", "running-config", "|", "include", "^boot", "system"]) => {
            let boot = view.shelf.boot.as_ref();
            let line = boot.map(|file| format!("boot system flash:{file}\n"));
            Some(Answer::Text(line.unwrap_or_default()))
        }
        (Kind::AristaEos, ["show", "boot-config"]) => {
            let file = view.shelf.boot.as_deref().unwrap_or("EOS.swi");
            Some(Answer::Text(format!(
                "Software image: flash:/{file}\nConsole speed: (not set)\nMemory test: (not set)\n"
            )))
        }
        (Kind::CiscoIos, ["configure", "terminal"]) => Some(Answer::Configure(
            "Enter configuration commands, one per line.  End with CNTL/Z.\n".to_owned(),
        )),
        (Kind::AristaEos, ["configure"]) => Some(Answer::Configure(String::new())),
        (Kind::CiscoIos, ["reload"]) => Some(Answer::Reload { asks: true }),
        (Kind::AristaEos, ["reload", "now"]) => Some(Answer::Reload { asks: false }),
        (Kind::CiscoIos | Kind::AristaEos, _) => None,
    }
}

fn stored<'v>(view: &'v View, file: &str) -> Option<&'v Stored> {
    view.shelf.files.get(file.strip_prefix("flash:")?.trim_start_matches('/'))
}

fn verified(view: &View, file: &str, wanted: &str) -> String {
    match stored(view, file) {
        None => format!("%Error opening {file} (No such file or directory)\n"),
        Some(found) if found.md5 == wanted => {
            format!(".....................................Done!\nVerified ({file}) = {wanted}\n")
        }
        Some(found) => format!(
            ".....................................Done!\n%Error verifying {file}\n\
             Computed signature  = {}\nSubmitted signature = {wanted}\n",
            found.md5
        ),
    }
}

fn digest(view: &View, file: &str) -> String {
    match stored(view, file) {
        None => format!("% Error hashing {file} (No such file or directory)\n"),
        Some(found) => format!("verify /md5 ({file}) = {}\n", found.md5),
    }
}

/// What the box says once a copy has come to its end.
pub fn copied(kind: Kind, (url, file): (&str, &str), result: &Result<usize, String>) -> String {
    match (kind, result) {
        (Kind::CiscoIos, Ok(bytes)) => format!(
            "Accessing {url}...\nLoading {file} from server (via Vlan1): !!!!!!!!!!\n\
             [OK - {bytes} bytes]\n\n{bytes} bytes copied in 1.284 secs (2984 bytes/sec)\n"
        ),
        (Kind::CiscoIos, Err(why)) => {
            format!("Accessing {url}...\n%Error opening {url} ({why})\n")
        }
        (Kind::AristaEos | Kind::Frr, Ok(_)) => "Copy completed successfully.\n".to_owned(),
        (Kind::AristaEos | Kind::Frr, Err(why)) => {
            format!("% Error copying {url} to flash:/{file} ({why})\n")
        }
    }
}
