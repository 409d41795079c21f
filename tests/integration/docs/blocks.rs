//! The fenced blocks of a document.

/// The text between two fences, and the numbers of the lines with the fences.
pub(super) struct Block {
    pub(super) language: String,
    pub(super) text: String,
    pub(super) begin: usize,
    pub(super) end: usize,
}

pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(text.lines()) {
        match line.trim_start().strip_prefix("```") {
            Some(_) if is_open => {
                is_open = false;
                blocks.last_mut().expect("a block is open").end = number;
            }
            Some(language) => {
                is_open = true;
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    begin: number,
                    end: 0,
                });
            }
            None if is_open => {
                let block = blocks.last_mut().expect("a block is open");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!is_open, "a fence without end");
    blocks
}
