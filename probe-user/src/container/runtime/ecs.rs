//! Recognizes containers of Amazon ECS.
//!
//! With Docker: `ecs/TASK/ID` on v1, `ecstasks.slice/ecstasks-TASK.slice/docker-ID.scope` on v2;
//! those are Docker's containers (`docker.rs`). Fargate: `ecs/TASK/TASK-NUMBER`.
//! <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate-response.html>

use crate::{
    container::layout::{PathComponent, Recognized, is_id},
    model::Runtime,
};

pub(in crate::container) fn recognize<'a>(
    component: &PathComponent<'_, 'a>,
) -> Option<Recognized<'a>> {
    let [.., ecs, task] = component.above else {
        return None;
    };
    let number = component.name.strip_prefix(task)?.strip_prefix('-')?;
    let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    (*ecs == "ecs" && is_id(task) && is_number)
        .then(|| Recognized::certain(Runtime::Ecs, component.name))
}
